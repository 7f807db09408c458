"""Every session that a document shows is typed into a shell, beside a real server, and says what is shown."""

import gzip
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Self

import httpx
import pytest

from tests.server.harness import environment
from tests.test_documents import SESSIONS, blocks

pytestmark = pytest.mark.fault

_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
_END = "end of what it says:"
_HOST = "https://t.example.com"

_AGE = """#!/bin/sh
test "$1 $3" = "-r -o" && exec cp "$5" "$4"
"""
"""Stands in for age."""


class Typed(NamedTuple):
    """A command, what it is shown to say, and whether cron runs it."""

    command: str
    shown: str
    by_cron: bool = False


def typed_in(document: str) -> list[Typed]:
    """All commands of a document, in their order."""
    found = []
    for name, language, text in blocks():
        if name == document and language == "crontab":
            found += [Typed(line.split(None, 5)[5].replace("\\%", "%"), "", True) for line in text.splitlines()]
        elif name == document and language == "console":
            for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
                found.append(_typed(part))
    return found


def _typed(part: str) -> Typed:
    """The command goes on while a quotation mark is open."""
    lines = part.splitlines()
    count = next(n for n in range(1, len(lines) + 1) if "\n".join(lines[:n]).count("'") % 2 == 0)
    return Typed("\n".join(lines[:count]), "\n".join(lines[count:]))


class Terminal:
    """A shell in an empty folder, with ``tracker`` and what else there is; what a document calls otherwise is found
    in a folder of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.port = _free_port()
        self.here = root / "here"
        self.places = {"/backup": "backup", "/safe": "safe", "/tmp/try": "try", "/var/lib/tracker": "here"}
        self.words: dict[str, str] = {}
        self.servers: list[int] = []

    def __enter__(self) -> Self:
        programs = self.root / "programs"
        for folder in (self.here, programs, self.root / "backup", self.root / "safe"):
            folder.mkdir()
        (programs / "age").write_text(_AGE)
        (programs / "tracker").write_text(f'#!/bin/sh\nexec {sys.executable} -m tracker "$@"\n')
        for program in programs.iterdir():
            program.chmod(0o755)
        path = f"{programs}:{os.environ['PATH']}"
        with (self.root / "errors").open("w") as errors:
            self._shell = subprocess.Popen(
                ["bash"],
                cwd=self.here,
                env=environment({"PATH": path, "TRACKER_PORT": str(self.port)}),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        return self

    def __exit__(self, *exc: object) -> None:
        for server in self.servers:
            with suppress(ProcessLookupError):
                os.kill(server, signal.SIGTERM)
        self.say("wait")
        self._shell.communicate("exit\n", timeout=30)

    def say(self, command: str) -> tuple[int, str]:
        """Its status, and what it said on standard output."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(f"{command}\nprintf '\\n%s %s\\n' '{_END}' $?\n")
        self._shell.stdin.flush()
        said: list[str] = []
        while not (line := self._shell.stdout.readline()).startswith(_END):
            assert line, self.errors()
            said.append(line)
        return int(line.removeprefix(_END)), "".join(said).removesuffix("\n").rstrip("\n")

    def serve(self, command: str) -> None:
        """Leave it running, and wait until it answers."""
        _, pid = self.say(f"{{ exec env {command}\n}} > {self.root}/served & echo $!")
        self.servers.append(int(pid))
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{self.url}/readyz").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError(self.errors())

    @property
    def url(self) -> str:
        """Where it is, in place of what a document calls it."""
        return f"http://127.0.0.1:{self.port}"

    def local(self, text: str) -> str:
        """The same where we are. A base URL stays what it is."""
        for word, meant in self.words.items():
            text = text.replace(word, meant)
        places = re.compile("|".join(rf"(?<!\w){place}\b" for place in self.places))
        text = places.sub(lambda found: f"{self.root}/{self.places[found[0]]}", text)
        return re.sub(rf"(?<!BASE_URL=){_HOST}(?!/c/)", self.url, text)

    def create_account(self) -> None:
        """Whose id and key the documents mean."""
        self.keep(self.say("tracker account create 'Marigold Books'")[1])

    def keep(self, said: str) -> None:
        """The id and the key of an account, if these are among what was said."""
        if found := re.search(r"\((\w{16})\)[^$]*(trk_\S+)", said):
            self.words |= {"0123456789abcdef": found[1], "trk_...": found[2]}

    def errors(self) -> str:
        """What was said on standard error."""
        return (self.root / "errors").read_text()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def expect(said: str, shown: str) -> None:
    """The same text; times are any, and ``...`` stands for anything."""
    parts = re.split(rf"(\.\.\.|{_TIME})", shown)
    pattern = "".join(
        {"...": ".+"}.get(part, _TIME if re.fullmatch(_TIME, part) else re.escape(part)) for part in parts
    )
    assert re.fullmatch(pattern, said, re.DOTALL), said


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """A new one."""
    with Terminal(tmp_path) as new:
        yield new


def prepare(document: str, terminal: Terminal) -> None:
    """What is there before the first command: nothing where the document starts the server."""
    commands = [typed.command.partition("#")[0] for typed in typed_in(document)]
    if any("tracker serve" in one for one in commands) or not any("tracker " in one for one in commands):
        return
    terminal.say(f"export TRACKER_BASE_URL={_HOST}")
    terminal.serve("tracker serve")
    terminal.create_account()
    MORE.get(document, lambda _: None)(terminal)


def a_list(terminal: Terminal) -> None:
    """As long as the document's, with rows that come twice and two that are bad."""
    rows = [f"p{number}@example.com" for number in range(4_190)]
    text = "\n".join(["email", *rows, *rows[:19], "nobody", "carol@example"])
    (terminal.here / "list.csv").write_text(text)
    (terminal.here / "list.csv.gz").write_bytes(gzip.compress("\n".join(rows[:5]).encode()))


def a_link(terminal: Terminal) -> None:
    """Of a mail that somebody reported."""
    message = {
        "campaign": "c",
        "recipient": {"email": "ada@example.com"},
        "html": '<a href="https://evil.example/">x</a>',
    }
    headers = {"Authorization": f"Bearer {terminal.words['trk_...']}"}
    made = httpx.post(f"{terminal.url}/v1/messages", json=message, headers=headers).json()
    terminal.words[f"{_HOST}/c/AQECAwQF..."] = made["html"].partition('href="')[2].partition('"')[0]


def kept_keys(terminal: Terminal) -> None:
    """In another place."""
    shutil.copy(terminal.here / "tracker.db.keys", terminal.root / "safe")


MORE = {"docs/lists.md": a_list, "docs/operations.md": a_link, "docs/backups.md": kept_keys}

STATUS: Mapping[str, int] = {"tracker import list.csv": 1}
"""Of commands that are not meant to end with 0: lines of the list are bad."""


@pytest.mark.parametrize("document", sorted({name for name, language, _ in blocks() if language in SESSIONS}))
def test_session_goes_as_it_is_shown(document: str, terminal: Terminal) -> None:
    """Each command ends well, and says what stands below it."""
    if document == "README.md" and shutil.which("curl") is None:
        pytest.skip("install curl to run the README")
    prepare(document, terminal)
    for command, shown, by_cron in typed_in(document):
        local = terminal.local(command)
        if "tracker serve" in command:
            terminal.serve(local)
            continue
        status, said = terminal.say(f"({local})" if by_cron else local)
        expected = next((status for start, status in STATUS.items() if command.startswith(start)), 0)
        assert status == expected, (command, said, terminal.errors())
        if shown:
            terminal.keep(said)
            expect(said, terminal.local(shown.replace("trk_...", "...")))
