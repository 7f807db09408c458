"""The ring of a running server follows the key file, and never loses a key."""

import logging
import time
from pathlib import Path

import pytest

from tests.storage.databases import SECRETS, Databases
from tracker.domain.keys import Key, Keyring, new_secret
from tracker.domain.links import Links
from tracker.storage.fingerprints import Fingerprints
from tracker.storage.keyfile import add_key, make_key_file
from tracker.workers.keys import KeyFileReader

pytestmark = pytest.mark.anyio

LATER = 2**47


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of an installation's first key."""
    path = tmp_path / "the.keys"
    mend(path)
    return path


def spoil(path: Path, harm: str) -> None:
    """Somebody was at the file."""
    path.unlink()
    if harm == "spoiled":
        path.write_bytes(b"spoiled")
    elif harm != "gone":
        make_key_file(path, {2 if harm == "lost" else 1: Key(new_secret())})


def mend(path: Path) -> None:
    """The file that was there is put back."""
    path.unlink(missing_ok=True)
    make_key_file(path, {number: Key(secret) for number, secret in SECRETS.items()})


async def seen(databases: Databases) -> list[int]:
    return [row["number"] for row in await databases.main.fetch("select number from signing_keys order by number")]


async def test_new_key_reads_before_it_signs(databases: Databases, path: Path) -> None:
    """And the database knows its fingerprint as soon as it reads."""
    ring = Keyring(SECRETS)
    reader = KeyFileReader(ring, path, Fingerprints(databases.main))
    add_key(path, signs_from=LATER)
    await reader.turn()
    assert (sorted(ring.fingerprints()), ring.signing) == ([1, 2], 1)
    assert await seen(databases) == [1, 2]


async def test_new_key_signs_when_its_time_has_come(databases: Databases, path: Path) -> None:
    """Old links go on working."""
    ring = Keyring(SECRETS)
    links = Links(ring)
    old = links.sign_open(bytes(8), bytes(16))
    add_key(path, signs_from=time.time_ns() // 1_000_000)
    await KeyFileReader(ring, path, Fingerprints(databases.main)).turn()
    assert ring.signing == 2
    new = links.sign_open(bytes(8), bytes(16))
    assert links.read_open(old) == links.read_open(new)
    assert old != new


async def test_operator_keeps_the_key_that_signs(databases: Databases, path: Path) -> None:
    """Whatever the file says."""
    ring = Keyring(SECRETS)
    add_key(path, signs_from=0)
    await KeyFileReader(ring, path, Fingerprints(databases.main), signing=1).turn()
    assert (sorted(ring.fingerprints()), ring.signing) == ([1, 2], 1)


@pytest.mark.parametrize("harm", ["gone", "spoiled", "lost", "another"])
async def test_file_that_is_no_good_changes_nothing(
    databases: Databases, path: Path, harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once, and not again until it was good in between."""
    ring = Keyring(SECRETS)
    reader = KeyFileReader(ring, path, Fingerprints(databases.main))
    for times in (1, 2):
        spoil(path, harm)
        for _ in range(3):
            await reader.turn()
        assert [record.levelno for record in caplog.records] == [logging.ERROR] * times
        assert "the signing keys are kept as they were" in caplog.text
        assert (ring.fingerprints(), ring.signing) == (Keyring(SECRETS).fingerprints(), 1)
        mend(path)
        await reader.turn()
    assert await seen(databases) == [1]


async def test_key_reads_while_the_database_cannot_be_asked(databases: Databases, path: Path) -> None:
    """Links of other processes do not wait for it; the fingerprint follows."""
    ring = Keyring(SECRETS)
    reader = KeyFileReader(ring, path, Fingerprints(databases.main))
    add_key(path, signs_from=LATER)
    await databases.main.change("alter table signing_keys rename to elsewhere")
    await reader.turn()
    assert sorted(ring.fingerprints()) == [1, 2]
    await databases.main.change("alter table elsewhere rename to signing_keys")
    assert await seen(databases) == [1]
    await reader.turn()
    assert await seen(databases) == [1, 2]
