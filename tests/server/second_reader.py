"""A second process beside a server, which only reads: it says of each token on its input whether it is one."""

import asyncio
import sys
from pathlib import Path

from tracker.domain.links import BadToken, Links
from tracker.storage.fingerprints import Fingerprints
from tracker.storage.installation import Files, prepare
from tracker.workers.keys import KeyFileReader


async def main(path: Path) -> None:
    """Answer each line with one, until there is no more."""
    files = Files(path)
    keyring = (await prepare(files, None)).keyring
    links = Links(keyring)
    async with files.main_database() as database, KeyFileReader(keyring, files.keys, Fingerprints(database)):
        while token := (await asyncio.to_thread(sys.stdin.readline)).strip():
            print(_judged(links, token), flush=True)


def _judged(links: Links, token: str) -> str:
    try:
        links.read_unsubscribe(token)
    except BadToken as error:
        return f"bad: {error}"
    return "good"


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
