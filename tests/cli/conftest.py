"""Runs commands as an operator does, in an empty folder and with nothing set."""

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tracker.cli import main


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed with --json: one line."""
        assert (self.status, self.out.count("\n")) == (0, 1), self
        return msgspec.json.decode(self.out)

    def failed_with(self, *words: str) -> None:
        """It ended with 1 and one sentence on standard error that holds these words; a check lists settings besides."""
        assert self.status == 1, self
        assert self.out == "" or self.out.startswith("SETTING"), self
        assert self.err.startswith("Error: "), self
        assert self.err.count("\n") == 1, self
        assert "Traceback" not in self.err
        for word in words:
            assert word in self.err


Run = Callable[..., Ran]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where commands run: empty, and no TRACKER_ variable is set."""
    for name in [name for name in os.environ if name.startswith("TRACKER_")]:
        monkeypatch.delenv(name)
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    mask = os.umask(0o022)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield here
    for number, handler in handlers.items():
        signal.signal(number, handler)
    os.umask(mask)


@pytest.fixture
def run(folder: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in this process."""

    def ran(*arguments: str) -> Ran:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        said = capsys.readouterr()
        status = ended.value.code
        assert status is None or isinstance(status, int)
        return Ran(status or 0, said.out, said.err)

    return ran


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Callable[[], Path]:
    """Goes to another, empty folder."""

    def go() -> Path:
        there = tmp_path / "there"
        there.mkdir()
        monkeypatch.chdir(there)
        return there

    return go


@pytest.fixture
def backup(run: Run, folder: Path) -> Path:
    """A backup of an installation with one account, without keys."""
    assert run("account", "create", "Larkspur").status == 0
    assert run("backup", "backup.tar").status == 0
    return folder / "backup.tar"
