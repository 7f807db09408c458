"""A new signing key takes its turn in every process without one link that fails."""

import asyncio
import json
import subprocess
import sys
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.server.harness import PROJECT, TRACKER, Account, Server, environment

pytestmark = [pytest.mark.anyio, pytest.mark.fault]

_MOST_TOKENS = 20_000


class SecondReader:
    """Another process that reads tokens by the same key file."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def judge(self, token: str) -> str:
        """What it says of a token."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{token}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()


@contextmanager
def second_reader(database: Path) -> Iterator[SecondReader]:
    """Ends when its input does."""
    command = (sys.executable, str(PROJECT / "tests" / "server" / "second_reader.py"), str(database))
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment({}), stdin=pipe, stdout=pipe, text=True) as process:
        yield SecondReader(process)


async def new_token(server: Server, account: Account) -> str:
    """The token of a way out, just made."""
    body = json.dumps({"campaign": "spring", "recipient": {"email": "ada@example.com"}}).encode()
    headers = {**account.authorization, "content-type": "application/json"}
    answer = await server.ask("POST", "/v1/messages", headers=headers, body=body)
    assert answer.status == 201, answer
    return str(answer.json()["unsubscribe_url"].rpartition("/")[2])


def key_of(token: str) -> int:
    """The number of the key that signed it."""
    return urlsafe_b64decode(token[:4])[0]


async def rotate(server: Server) -> None:
    """At the command line, beside the running server."""
    command = (*TRACKER, "rotate-keys", "--json")
    run = await asyncio.to_thread(
        subprocess.run, command, cwd=server.folder, env=environment({}), capture_output=True, check=True
    )
    assert json.loads(run.stdout)["changed"]


async def tokens_until_key(number: int, server: Server, account: Account, other: SecondReader) -> list[str]:
    """Tokens made one after the other until that key signs; each is read by both processes at once."""
    made: list[str] = []
    while not made or key_of(made[-1]) != number:
        made.append(await new_token(server, account))
        assert (await server.ask("GET", f"/u/{made[-1]}")).status == 200
        assert await asyncio.to_thread(other.judge, made[-1]) == "good"
        assert len(made) < _MOST_TOKENS, f"key {number} does not sign"
    return made


async def test_a_new_key_rolls_over_two_processes_without_one_404(tmp_path: Path) -> None:
    """F20: no restart, not one bad answer, and links of all three generations work, after a restart too."""
    async with Server(tmp_path / "data") as server:
        account = await server.create_account("north")
        with second_reader(server.main) as other:
            assert other.judge("x") == "bad: not a token"
            generations = [await new_token(server, account)]
            for number in (2, 3):
                await rotate(server)
                made = await tokens_until_key(number, server, account, other)
                assert {key_of(token) for token in made} == {number - 1, number}
                generations.append(made[-1])
            assert [other.judge(token) for token in generations] == ["good"] * 3
        await server.stop()
        await server.start()
        assert [key_of(token) for token in generations] == [1, 2, 3]
        assert [(await server.ask("GET", f"/u/{token}")).status for token in generations] == [200] * 3
        assert key_of(await new_token(server, account)) == 3
