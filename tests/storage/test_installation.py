"""Which files belong together, and what a new installation is given."""

import asyncio
import json
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.storage.databases import SECRETS
from tests.storage.faults import files_can_grow_no_more
from tracker.domain.keys import BadKeyring, Key, Keyring, Purpose, new_secret
from tracker.storage.accounts import Accounts
from tracker.storage.database import BadDatabase
from tracker.storage.installation import Files, Prepared, files_of, prepare, ring_of
from tracker.storage.keyfile import read_key_file, written_keys
from tracker.storage.migrations import NewerSchema, migrate, migrations
from tracker.storage.shared import place_of
from tracker.storage.sqlite import SQLite

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
EVERY_SCRIPT = [f"{part}/{one.name}" for part in ("main", "inbox") for one in migrations(part)]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Where an installation would lie."""
    return Files(tmp_path / "tracker.db")


async def inhabit(files: Files) -> None:
    """An installation with an account."""
    await prepare(files, None)
    async with files.main_database() as main:
        await Accounts(main).create("Example")


async def test_empty_folder_becomes_an_installation(files: Files) -> None:
    """Two databases and a key, at once; the next start finds them as they are."""
    first = await prepare(files, None)
    assert first.applied == EVERY_SCRIPT
    assert first.new
    assert stat.S_IMODE(files.keys.stat().st_mode) == 0o600
    again = await prepare(files, None)
    assert again.applied == []
    assert not again.new
    assert again.keyring.fingerprints() == first.keyring.fingerprints()
    assert sorted(first.keyring.fingerprints()) == [1]


async def test_key_file_is_not_made_when_the_environment_has_the_keys(files: Files) -> None:
    """They would sign nothing, and look as if they did."""
    done = await prepare(files, SECRETS)
    assert done.keyring.fingerprints() == Keyring(SECRETS).fingerprints()
    assert not files.keys.exists()


def remove(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("spoil", "said"), [(remove, "is missing"), (empty, "belongs to another installation")], ids=["missing", "empty"]
)
async def test_inbox_is_never_made_anew_beside_an_account(
    files: Files, spoil: Callable[[Path], None], said: str
) -> None:
    """It holds opt-outs: the sentence names both files, and the next start says the same."""
    await inhabit(files)
    spoil(files.inbox)
    for _ in range(2):
        with pytest.raises(BadDatabase, match=rf"tracker\.db\.inbox {said}, and .*tracker\.db cannot be served"):
            await prepare(files, None)
    if spoil is remove:
        assert not files.inbox.exists()


async def test_inbox_of_another_installation_is_refused(files: Files, tmp_path: Path) -> None:
    """Its opt-outs are another's, and not one of it is changed."""
    (tmp_path / "other").mkdir()
    other = Files(tmp_path / "other" / "tracker.db")
    await inhabit(files)
    await inhabit(other)
    shutil.copy(other.inbox, files.inbox)
    with pytest.raises(BadDatabase, match=r"tracker\.db\.inbox belongs to another installation, and .*tracker\.db"):
        await prepare(files, None)
    shutil.copy(files.inbox, other.inbox)
    await prepare(other, None)


async def test_main_file_is_not_made_anew_beside_an_inbox(files: Files) -> None:
    """A lost main file must not end up with the opt-outs of accounts that it does not know."""
    await inhabit(files)
    files.main.unlink()
    for _ in range(2):
        with pytest.raises(BadDatabase, match=r"tracker\.db\.inbox belongs to another installation"):
            await prepare(files, None)


async def test_inbox_may_be_missing_while_there_is_no_account(files: Files) -> None:
    """A first start that was cut off between the two files is repaired by the next one."""
    await prepare(files, SECRETS)
    files.inbox.unlink()
    assert (await prepare(files, SECRETS)).applied == [name for name in EVERY_SCRIPT if name.startswith("inbox/")]


async def test_start_that_was_cut_off_after_the_first_file_is_repaired(files: Files) -> None:
    """Each file has its own version."""
    async with SQLite(files.main) as main:
        await migrate(main, "main")
    assert (await prepare(files, SECRETS)).applied == [name for name in EVERY_SCRIPT if name.startswith("inbox/")]


KILLED = """
import asyncio, os, sys
from pathlib import Path
from tracker.storage import installation, sqlite

run, last, done = sqlite.SQLite._run, int(sys.argv[2]), 0

def killed(self, change):
    global done
    done += 1
    if done == last:
        os._exit(9)
    return run(self, change)

sqlite.SQLite._run = killed
asyncio.run(installation.prepare(installation.Files(Path(sys.argv[1])), None))
print(done)
"""


def killed_at(files: Files, statement: int) -> subprocess.CompletedProcess[str]:
    """A first start whose process ends before its statement of that number."""
    command = [sys.executable, "-c", KILLED, str(files.main), str(statement)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


async def test_first_start_that_is_killed_is_finished_by_the_next(tmp_path: Path) -> None:
    """Wherever it was: within a script, between the two files, before the key was noted."""
    (tmp_path / "whole").mkdir()
    statements = int(killed_at(Files(tmp_path / "whole" / "tracker.db"), 0).stdout)
    main = len(migrations("main")[0].statements) + 1
    for place in (1, main // 2, main, main + 1, main + 2, main + 4, statements):
        folder = tmp_path / str(place)
        folder.mkdir()
        files = Files(folder / "tracker.db")
        killed = await asyncio.to_thread(killed_at, files, place)
        assert killed.returncode == 9, killed.stderr
        await inhabit(files)
        await prepare(files, None)
        with closing(sqlite3.connect(files.inbox)) as inbox:
            assert inbox.execute("pragma integrity_check").fetchall() == [("ok",)]


STARTED_TOGETHER = """
import asyncio, json, sys
from pathlib import Path
from tracker.storage.installation import Files, prepare

for line in sys.stdin:
    done = asyncio.run(prepare(Files(Path(line.strip())), None))
    fingerprints = {number: one.hex() for number, one in done.keyring.fingerprints().items()}
    print(json.dumps([done.applied, fingerprints]), flush=True)
"""


def started_together(folders: list[Path], processes: int) -> list[list[tuple[list[str], dict[str, str]]]]:
    """What each process says of each folder, all of them starting in the same folder at the same moment."""
    command = [sys.executable, "-c", STARTED_TOGETHER]
    running = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    said = []
    for folder in folders:
        for process in running:
            assert process.stdin is not None
            process.stdin.write(f"{folder / 'tracker.db'}\n")
            process.stdin.flush()
        said.append([tuple(json.loads(process.stdout.readline())) for process in running if process.stdout])
    for process in running:
        process.communicate()
        assert process.returncode == 0
    return said


async def test_first_starts_at_the_same_time_make_one_installation(tmp_path: Path) -> None:
    """As ``serve`` and ``account create`` in an empty folder: each script applied once, one key for both."""
    folders = [tmp_path / str(number) for number in range(12)]
    for folder in folders:
        folder.mkdir()
    for answers in await asyncio.to_thread(started_together, folders, 3):
        assert sorted(name for applied, _ in answers for name in applied) == sorted(EVERY_SCRIPT)
        assert all(fingerprints == answers[0][1] for _, fingerprints in answers)
    for folder in folders:
        await inhabit(Files(folder / "tracker.db"))
        assert not [file.name for file in folder.iterdir() if file.name.endswith(".new")]


async def test_first_starts_of_one_process_make_one_installation(files: Files) -> None:
    """The same, within one process."""
    done: list[Prepared] = await asyncio.gather(*(prepare(files, None) for _ in range(4)))
    assert sorted(name for one in done for name in one.applied) == sorted(EVERY_SCRIPT)
    assert len({one.keyring.fingerprints()[1] for one in done}) == 1


async def test_keys_are_never_made_for_a_database_with_an_account(files: Files) -> None:
    """The links in mails already sent need the old ones: the sentence names the file."""
    await inhabit(files)
    kept = files.keys.read_bytes()
    files.keys.unlink()
    with pytest.raises(BadKeyring, match=r"the signing keys in .*tracker\.db\.keys are missing"):
        await prepare(files, None)
    assert not files.keys.exists()
    files.keys.write_bytes(kept)
    await prepare(files, None)


async def test_known_key_that_is_missing_is_refused_by_its_number(files: Files) -> None:
    """One that is new is welcome; one that signed before has to stay."""
    one, two, three = (bytes([number]) * 32 for number in (1, 2, 3))
    await prepare(files, {1: one, 2: two})
    with pytest.raises(BadKeyring, match="signing key 1 is missing"):
        await prepare(files, {2: two, 3: three})
    with pytest.raises(BadKeyring, match="signing key 2 is missing"):
        await prepare(files, {1: one})
    done = await prepare(files, {1: one, 2: two, 3: three})
    assert done.keyring.signing == 3
    with pytest.raises(BadKeyring, match="signing key 3 is missing"):
        await prepare(files, {1: one, 2: two})


async def test_known_key_that_was_swapped_is_refused_by_its_number(files: Files) -> None:
    """Another secret under the old number reads no old link."""
    one, two = bytes(32), bytes([2]) * 32
    await prepare(files, {1: one, 2: two})
    with pytest.raises(BadKeyring, match="signing key 1 is not the one that signed before"):
        await prepare(files, {1: two, 2: two})
    with pytest.raises(BadKeyring, match="signing key 1 is not the one that signed before"):
        await prepare(files, {1: two, 2: one})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"1:short\n",
        b"\xff",
        written_keys({1: Key(bytes(31))}).encode(),
        written_keys({0: Key(bytes(32))}).encode(),
    ],
    ids=["empty", "short", "no text", "31 bytes", "number"],
)
async def test_spoiled_key_file_is_named(files: Files, content: bytes) -> None:
    """Also where no account would be lost: what somebody put there was meant."""
    files.keys.write_bytes(content)
    with pytest.raises(BadKeyring, match=r"tracker\.db\.keys"):
        await prepare(files, None)
    assert files.keys.read_bytes() == content


async def test_keys_of_the_environment_that_cannot_sign_name_their_setting(files: Files) -> None:
    """And no file, which is not to blame."""
    with pytest.raises(BadKeyring, match="TRACKER_SECRET_KEYS: signing key 1 has 31 bytes"):
        await prepare(files, {1: bytes(31)})


async def test_links_of_an_installation_work_after_its_next_start(files: Files) -> None:
    """The key that signs is on the disk before anything is signed with it."""
    first = await prepare(files, None)
    again = await prepare(files, None)
    signatures = [
        done.keyring.signer(1, Purpose.OPEN, bytes(8)).get_signature(b"value")
        for done in (first, again, Prepared([], ring_of(read_key_file(files.keys) or {}, None), new=False))
    ]
    assert len(set(signatures)) == 1


def test_key_signs_when_its_time_has_come() -> None:
    """Until then the one before does; who is alone signs at once, and what the operator says goes first."""
    secret, later = new_secret(), 2**47
    assert ring_of({1: Key(secret), 2: Key(secret, 1), 3: Key(secret, later)}, None).signing == 2
    assert ring_of({1: Key(secret, later)}, None).signing == 1
    assert ring_of({1: Key(secret), 2: Key(secret), 3: Key(secret, later)}, 1).signing == 1
    assert ring_of({1: Key(secret), 3: Key(secret, later)}, 3).signing == 3


async def test_operator_says_which_key_signs(files: Files) -> None:
    """One that is there: otherwise the sentence names those that are."""
    assert (await prepare(files, {1: bytes(32), 2: SECRETS[1]}, 1)).keyring.signing == 1
    with pytest.raises(BadKeyring, match="key 3 is to sign and is not among the signing keys, which are 1, 2"):
        await prepare(files, {1: bytes(32), 2: SECRETS[1]}, 3)


@pytest.mark.parametrize("part", ["main", "inbox"])
async def test_newer_schema_of_either_file_is_refused(files: Files, part: str) -> None:
    """The sentence names the file."""
    await inhabit(files)
    path = files.main if part == "main" else files.inbox
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("insert into schema_versions values (?, 99, 'later', 0)", (part,))
    with pytest.raises(NewerSchema, match=rf"cannot use {path}: the schema of the {part} database is version 99"):
        await prepare(files, None)


async def test_installation_that_cannot_be_written_names_its_files(files: Files) -> None:
    """No traceback for what an operator can see to."""
    await prepare(files, SECRETS)
    async with files.main_database(), files.inbox_database():
        await expect_no_writing(files)
    await prepare(files, {**SECRETS, 2: bytes(32)})


async def expect_no_writing(files: Files) -> None:
    """Beside a server, whose files are open already."""
    with (
        pytest.raises(
            BadDatabase, match=r"cannot prepare the database .*tracker\.db and .*tracker\.db\.inbox: SQLITE_"
        ),
        files_can_grow_no_more(),
    ):
        await prepare(files, {**SECRETS, 2: bytes(32)})


@pytest.mark.parametrize(
    ("url", "main"),
    [("sqlite:///tracker.db", "tracker.db"), ("sqlite:////var/lib/t.db", "/var/lib/t.db"), ("sqlite:///a/b", "a/b")],
)
def test_files_lie_where_the_url_says(url: str, main: str) -> None:
    """As SQLAlchemy reads it: three slashes relative, four absolute; the others lie beside."""
    files = files_of(url)
    assert files.main == Path(main)
    beside = {files.inbox, files.keys, files.server_lock, files.worker_lock}
    assert len(beside) == 4
    assert all(path.parent == files.main.parent and path.name.startswith(files.main.name) for path in beside)


@pytest.mark.parametrize("url", ["", "tracker.db", "sqlite://tracker.db", "sqlite:///", "mysql://user:secret@host/db"])
def test_other_urls_are_refused_without_their_password(url: str) -> None:
    """The message shows what to write."""
    for read in (place_of, files_of):
        with pytest.raises(BadDatabase, match=r"write sqlite:///tracker\.db") as refused:
            read(url)
        assert "secret" not in str(refused.value)
