"""Records what a server asks of the system, call by call: its files, what it was sent and what it answered.

The program is the real one, unchanged; ``strace`` looks on. Its lines stand in the order in which the calls were made
by all threads of all processes, so what an answer followed is known exactly.
"""

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.server.harness import TRACKER, Account, Server, until
from tests.server.stored import Deed, Kind

_CALLS = (
    "read,recvfrom,write,sendto,writev,sendmsg,pwrite64,pwritev,fdatasync,fsync,sync_file_range,ftruncate,truncate,"
    "fallocate,openat,link,linkat,unlink,unlinkat,rename,renameat,renameat2"
)
_STRACE = ("strace", "-D", "-f", "-q", "--seccomp-bpf", "-ttt", "-yy", "-xx", "-s", "4096")

_LINE = re.compile(r"(?P<task>\d+) +(?P<at>\d+\.\d+) (?P<call>.*)")
_RESUMED = re.compile(r"<\.\.\. (\w+) resumed>")
_HEX = re.compile(r"(?:\\x[0-9a-f]{2})+")
_ON_FILE = re.compile(r"(?P<name>\w+)\(\d+<(?P<path>[^>]*)>(?P<rest>.*)")
_ON_NAMES = re.compile(r'(?P<name>\w+)\((?:AT_FDCWD<[^>]*>, )?(?P<paths>"[^"]*"(?:, "[^"]*")*)(?P<rest>.*)')
_DATA = re.compile(r', "(?P<data>[^"]*)"(?P<cut>\.\.\.)?, \d+(?:, (?P<offset>\d+))?')
_ON_SOCKET = re.compile(r'(?P<name>\w+)\(\d+<TCP:\[(?P<peers>[^\]]*)\]>, "(?P<data>[^"]*)"')
_LAST_WORDS = 64 * 1024
_UNIMPORTANT = ("-shm", ".lock")
"""The index of a log is made anew by whoever opens it first, and locks end with their process."""


class Wrote(NamedTuple):
    """Bytes given to the system, which keeps them in memory; ``offset`` None is the end of the file."""

    path: str
    offset: int | None
    data: bytes


class Resized(NamedTuple):
    """The file was cut, or made longer."""

    path: str
    size: int


class Synced(NamedTuple):
    """The system said that all of the file, or the names in the folder, are on stable storage."""

    path: str


class Created(NamedTuple):
    """Opened, and made if it was not there."""

    path: str


class Linked(NamedTuple):
    """Another name for a file."""

    old: str
    new: str


class Unlinked(NamedTuple):
    """A name less."""

    path: str


class Asked(NamedTuple):
    """The server has read a request."""

    deed: Deed


class Answered(NamedTuple):
    """The server began to send the answer."""

    deed: Deed
    status: int
    took_s: float


class AccountShown(NamedTuple):
    """The command line has shown the account's key."""


Step = Wrote | Resized | Synced | Created | Linked | Unlinked | Asked | Answered | AccountShown


def need_strace() -> None:
    """Skip the test where there is none, or where nobody may use it."""
    if shutil.which("strace") is None or subprocess.run(["strace", "true"], capture_output=True).returncode != 0:
        pytest.skip("needs strace, and the right to look into a process")


class Recording:
    """A server with an account, recorded from the first call on, in a folder where there was nothing."""

    def __init__(self, folder: Path, *, program: Sequence[str] = TRACKER) -> None:
        need_strace()
        self._folder = folder.resolve()
        self._trace = folder.with_name(f"{folder.name}.trace")
        self._shown = folder.with_name(f"{folder.name}.account")
        run = shlex.join(program)
        script = f'{run} account create north --json > {shlex.quote(str(self._shown))} && exec {run} "$@"'
        command = (*_STRACE, "-o", str(self._trace), "-e", f"trace={_CALLS}", "sh", "-c", script, "sh")
        self.server = Server(folder, program=command)

    def account(self) -> Account:
        """The one account."""
        made = json.loads(self._shown.read_text())
        return Account(id=made["account"]["id"], authorization={"authorization": f"Bearer {made['api_key']}"})

    async def ended(self) -> list[Step]:
        """All that happened, once the server has ended."""
        with self._trace.open("rb") as trace:
            first = trace.readline().split(maxsplit=1)[0]
            done = re.compile(rb"^%b .*\+\+\+ " % first, re.MULTILINE)

            def ended() -> bool:
                trace.seek(max(self._trace.stat().st_size - _LAST_WORDS, 0))
                return bool(done.search(trace.read()))

            await until(ended, within_s=20, what="the end of the recording")
        return list(_Reader(self._folder, self._shown, self.account().id).steps(self._trace))


class _Reader:
    """Makes steps of lines."""

    def __init__(self, folder: Path, shown: Path, account: str) -> None:
        self._folder = folder
        self._shown = str(shown)
        self._account = account
        self._begun: dict[str, str] = {}
        self._requests: dict[str, bytes] = {}
        self._asked: dict[str, tuple[float, Deed]] = {}

    def steps(self, trace: Path) -> Iterator[Step]:
        with trace.open() as lines:
            for line in lines:
                found = _LINE.match(line)
                if found is not None:
                    yield from self._of_line(found["task"], float(found["at"]), found["call"])

    def _of_line(self, task: str, at: float, call: str) -> Iterator[Step]:
        """What is given to the system counts when the call begins, what it says when the call returns."""
        resumed = _RESUMED.match(call)
        if resumed is not None:
            call = self._begun.pop(task) + call[resumed.end() :]
            if not _gives(call):
                yield from self._of_call(at, call)
        elif call.endswith("<unfinished ...>"):
            self._begun[task] = call = call.removesuffix(" <unfinished ...>")
            if _gives(call):
                yield from self._of_call(at, call)
        else:
            yield from self._of_call(at, call)

    def _of_call(self, at: float, call: str) -> Iterator[Step]:
        if "<TCP:[" in call:
            yield from self._of_socket(at, call)
        elif found := _ON_FILE.match(call):
            path = _text(found["path"])
            if path == self._shown and found["name"] == "write":
                yield AccountShown()
            elif self._matters(path):
                yield from _of_file(found["name"], path, found["rest"])
        elif (found := _ON_NAMES.match(call)) and " = -1 " not in call:
            paths = [str(self._folder / _text(path)) for path in re.findall(r'"([^"]*)"', found["paths"])]
            if self._matters(paths[0]):
                yield from _of_names(found["name"], paths, found["rest"])

    def _matters(self, path: str) -> bool:
        inside = path == str(self._folder) or path.startswith(f"{self._folder}/")
        return inside and not path.endswith(_UNIMPORTANT)

    def _of_socket(self, at: float, call: str) -> Iterator[Step]:
        found = _ON_SOCKET.match(call)
        if found is None:
            return
        data, peers = _bytes(found["data"]), found["peers"]
        if found["name"] in ("read", "recvfrom"):
            self._requests[peers] = self._requests.get(peers, b"") + data
            deed = deed_of(self._requests[peers], self._account)
            if deed is not None and peers not in self._asked:
                self._asked[peers] = at, deed
                yield Asked(deed)
        elif data.startswith(b"HTTP/1.1 "):
            self._requests.pop(peers, None)
            if peers in self._asked:
                asked, deed = self._asked.pop(peers)
                yield Answered(deed, int(data[9:12]), at - asked)


def deed_of(request: bytes, account: str) -> Deed | None:
    """What a request of our load does; None when it is none of its deeds, or not whole yet."""
    head, _, body = request.partition(b"\r\n\r\n")
    kinds: dict[bytes, Kind] = {b"GET /o/": "opened", b"GET /c/": "clicked", b"POST /u/": "unsubscribed"}
    for first, kind in kinds.items():
        if head.startswith(first):
            name = re.search(rb"user-agent: [^\r]* (\S+)\r", head + b"\r")
            return Deed(account, kind, name[1].decode()) if name else None
    made = re.search(rb'"external_id": "([^"]+)"', body)
    return Deed(account, "message", made[1].decode()) if made else None


def _gives(call: str) -> bool:
    return call.startswith(("write(", "pwrite64(", "sendto(", "ftruncate(", "unlink(", "link("))


def _of_file(name: str, path: str, rest: str) -> Iterator[Step]:
    if path.endswith("(deleted)"):
        return
    if name in ("write", "pwrite64"):
        data = _DATA.match(rest)
        assert data is not None, rest[:200]
        assert data["cut"] is None, "a write longer than what is recorded of it"
        yield Wrote(path, int(data["offset"]) if data["offset"] else None, _bytes(data["data"]))
    elif name in ("fsync", "fdatasync"):
        if rest.rstrip().endswith("= 0"):
            yield Synced(path)
    elif name == "ftruncate":
        yield Resized(path, int(rest.removeprefix(", ").partition(")")[0]))
    elif name != "read":
        raise ValueError(f"what does {name} mean to {path}?")


def _of_names(name: str, paths: Sequence[str], rest: str) -> Iterator[Step]:
    if name == "link":
        yield Linked(*paths)
    elif name == "unlink":
        yield Unlinked(*paths)
    elif name != "openat":
        raise ValueError(f"what does {name} mean to {paths}?")
    elif "O_CREAT" in rest:
        yield Created(*paths)


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def _text(text: str) -> str:
    return _HEX.sub(lambda found: _bytes(found[0]).decode(), text)
