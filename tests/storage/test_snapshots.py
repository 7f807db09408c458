"""Both files as of one moment, beside whoever writes to them."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.storage.databases import SECRETS
from tracker.storage.archives import BadBackup
from tracker.storage.backups import back_up
from tracker.storage.database import Unavailable
from tracker.storage.installation import Files, prepare
from tracker.storage.snapshots import _begun_as_one, in_use, snapshot

HIT = """
    insert into journal (id, account_id, message_id, type, occurred_at, user_agent, prefetch)
    values (?, x'00', x'00', 'opened', 0, '', 0)
"""


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """An installation."""
    made = Files(tmp_path / "tracker.db")
    asyncio.run(prepare(made, SECRETS))
    return made


def happened(files: Files, key: int) -> None:
    """A hit came in, and was projected."""
    for path, statement, values in (
        (files.inbox, HIT, (key,)),
        (files.main, "update projection set mark = ?", (key,)),
    ):
        with closing(sqlite3.connect(path)) as database:
            database.execute(statement, values)
            database.commit()


def trimmed(files: Files) -> None:
    """What was projected is forgotten."""
    with closing(sqlite3.connect(files.inbox)) as database:
        database.execute("delete from journal")
        database.commit()


def number_in(path: Path, statement: str) -> int:
    """The one number a statement gives."""
    with closing(sqlite3.connect(path)) as database:
        return int(database.execute(statement).fetchone()[0])


def opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


@pytest.mark.parametrize("trimming", [False, True])
def test_a_moment_is_the_same_in_both_files(files: Files, trimming: bool) -> None:
    """Whether the journal still holds what the mark says, or has forgotten all of it."""
    happened(files, 1)
    if trimming:
        trimmed(files)
    with closing(opened(files.main)) as main, closing(opened(files.inbox)) as inbox:
        assert _begun_as_one(main, inbox)


def test_what_comes_between_the_two_files_is_noticed(files: Files) -> None:
    """A main file that knows more than the inbox would hold opt-outs as events alone: both are begun anew."""
    happened(files, 1)
    with closing(opened(files.main)) as main, closing(opened(files.inbox)) as inbox:
        between: list[Callable[[], None]] = [lambda: happened(files, 2)]
        main.set_trace_callback(lambda sql: between.pop()() if sql == "begin" and between else None)
        assert not _begun_as_one(main, inbox)
        assert _begun_as_one(main, inbox)
        assert between == []


def test_files_that_never_hold_still_are_an_error(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a hundred tries, each some microseconds long."""
    monkeypatch.setattr("tracker.storage.snapshots._begun_as_one", lambda *_: False)
    with pytest.raises(Unavailable, match="changes too quickly"), snapshot(files):
        pytest.fail("entered")


def test_a_copy_is_of_the_moment_and_lets_writers_write(files: Files, tmp_path: Path) -> None:
    """What comes in at every step of the copying is not in it, and nobody has waited."""
    happened(files, 1)
    steps: list[int] = []

    def write(done: int, total: int) -> None:
        assert 0 < done <= total
        steps.append(done)
        happened(files, 1 + len(steps))

    with snapshot(files) as held:
        for part in ("inbox", "main"):
            held.copy(part, tmp_path / part, write)
    assert steps
    assert number_in(tmp_path / "main", "select mark from projection") == 1
    assert number_in(tmp_path / "inbox", "select max(id) from journal") == 1
    assert number_in(files.main, "select mark from projection") == 1 + len(steps)


def test_whoever_has_a_file_open_is_seen(files: Files) -> None:
    """Also one who only reads, or does nothing at all."""
    assert not in_use(files.main)
    with closing(opened(files.main)) as other:
        other.execute("select mark from projection").fetchone()
        assert in_use(files.main)
        assert not in_use(files.inbox)
    assert not in_use(files.main)


def test_what_is_no_database_is_not_in_use(tmp_path: Path) -> None:
    """It may be what somebody wants to replace."""
    path = tmp_path / "tracker.db"
    path.write_bytes(b"garbage" * 1000)
    assert not in_use(path)


@pytest.mark.parametrize("step", range(1, 5))
def test_a_backup_that_fails_at_any_step_leaves_nothing(files: Files, tmp_path: Path, step: int) -> None:
    """Neither a part of it nor one that looks whole."""
    place, told = tmp_path / "place", 0
    place.mkdir()

    def tell(*_: object) -> None:
        nonlocal told
        told += 1
        if told == step:
            assert len(list(place.iterdir())) == 1
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        back_up(files, place / "b", release="1", now=0, with_keys=False, overwrite=False, tell=tell)
    assert list(place.iterdir()) == []


def test_a_target_that_appears_meanwhile_is_not_replaced(files: Files, tmp_path: Path) -> None:
    """Somebody else was quicker."""
    place = tmp_path / "place"
    place.mkdir()

    def appear(*_: object) -> None:
        (place / "b").write_text("theirs")

    with pytest.raises(BadBackup, match="there already"):
        back_up(files, place / "b", release="1", now=0, with_keys=False, overwrite=False, tell=appear)
    assert [(path.name, path.read_text()) for path in place.iterdir()] == [("b", "theirs")]
