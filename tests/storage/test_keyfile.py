"""The file of the signing keys: for its owner alone, whole or not there, and never shown."""

import base64
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.domain.keys import BadKeyring, Key
from tracker.storage.keyfile import add_key, make_key_file, parse_keys, read_key_file, written_keys

SECRET = bytes(range(32))
WRITTEN = base64.urlsafe_b64encode(SECRET).decode()

keys = st.builds(Key, st.binary(min_size=1, max_size=40), st.integers(0, 10**14))
rings = st.dictionaries(st.integers(0, 255), keys, max_size=5)


@given(rings)
def test_keys_are_read_as_they_were_written(keys: dict[int, Key]) -> None:
    """Every number with its secret and the time from which it signs, a line each."""
    assert parse_keys(written_keys(keys)) == keys


@pytest.mark.parametrize(
    "text",
    [
        f"1:{WRITTEN},2:{WRITTEN}",
        f"1:{WRITTEN.rstrip('=')},2:{WRITTEN.rstrip('=')}",
        f" 1:{WRITTEN} ,, 2:{WRITTEN},",
        f"1:{WRITTEN}\n2:{WRITTEN}\n",
        f"1:{WRITTEN}\r\n2:{WRITTEN}\r\n",
    ],
)
def test_keys_are_read_in_the_forms_operators_write(text: str) -> None:
    """With or without padding; commas, line ends and spaces between."""
    assert parse_keys(text) == {1: Key(SECRET), 2: Key(SECRET)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (WRITTEN, "written as 1:<base64url of 32 bytes>"),
        (f"one:{WRITTEN}", "written as 1:<base64url"),
        (f"-1:{WRITTEN}", "written as 1:<base64url"),
        (f"１:{WRITTEN}", "written as 1:<base64url"),
        (f"{'9' * 5_000}:{WRITTEN}", "written as 1:<base64url"),
        (f"1={WRITTEN}", "written as 1:<base64url"),
        (f"1:{WRITTEN},1:{WRITTEN}", "signing key 1 is there twice"),
        (f"1:{WRITTEN},01:{WRITTEN}", "signing key 01 is there twice"),
        (f"1:{WRITTEN}!", "signing key 1 is not base64url"),
        (f"7:{WRITTEN[:-3]}ä=", "signing key 7 is not base64url"),
        ("1:A", "signing key 1 is not base64url"),
        (f"1:{WRITTEN}:soon", "written as 1:<base64url"),
        (f"1:{WRITTEN}:-1", "written as 1:<base64url"),
        (f"1:{WRITTEN}:{'9' * 5_000}", "written as 1:<base64url"),
        (f"1:{WRITTEN}:1:2", "written as 1:<base64url"),
    ],
)
def test_spoiled_keys_are_refused_unseen(text: str, said: str) -> None:
    """The message says what is wrong, and shows no part of a secret."""
    with pytest.raises(BadKeyring, match=said) as refused:
        parse_keys(text)
    assert WRITTEN[:8] not in str(refused.value)


def test_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    """0600, whatever the process usually gives away, and nothing else is left in the folder."""
    path = tmp_path / "tracker.db.keys"
    usual = os.umask(0)
    try:
        make_key_file(path, {1: Key(SECRET)})
    finally:
        os.umask(usual)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_key_file(path) == {1: Key(SECRET)}
    assert list(tmp_path.iterdir()) == [path]


def test_file_is_never_written_over(tmp_path: Path) -> None:
    """The keys of links that were sent are worth more than any new ones."""
    path = tmp_path / "tracker.db.keys"
    make_key_file(path, {1: Key(SECRET)})
    with pytest.raises(FileExistsError):
        make_key_file(path, {1: Key(SECRET[::-1])})
    assert read_key_file(path) == {1: Key(SECRET)}
    assert list(tmp_path.iterdir()) == [path]


def test_file_is_on_the_disk_before_it_is_in_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut leaves the whole file or none, and none of which a token was made."""
    done, fsync, link = list[str](), os.fsync, os.link

    def noted_fsync(handle: int) -> None:
        done.append("fsync")
        fsync(handle)

    def noted_link(draft: Path, path: Path) -> None:
        done.append("link")
        link(draft, path)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "link", noted_link)
    make_key_file(tmp_path / "tracker.db.keys", {1: Key(SECRET)})
    assert done == ["fsync", "link", "fsync"]


def test_file_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    """A new installation has none."""
    assert read_key_file(tmp_path / "tracker.db.keys") is None


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"\xff\xfe", f"1:{WRITTEN}?".encode(), b"\0" * 100, f"1:{WRITTEN}\n1:".encode()]
)
def test_spoiled_file_is_named(tmp_path: Path, content: bytes) -> None:
    """And is not taken for one that is not there, which would make new keys."""
    path = tmp_path / "tracker.db.keys"
    path.write_bytes(content)
    with pytest.raises(BadKeyring, match=r"tracker\.db\.keys") as refused:
        read_key_file(path)
    assert WRITTEN[:8] not in str(refused.value)


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    """A folder, for one."""
    with pytest.raises(BadKeyring, match=r"cannot read the signing keys in .*"):
        read_key_file(tmp_path)


def test_added_key_leaves_the_others(tmp_path: Path) -> None:
    """Under the next number, with a time of its own; still 0600, and nothing else is left in the folder."""
    path = tmp_path / "tracker.db.keys"
    make_key_file(path, {1: Key(SECRET), 7: Key(SECRET[::-1], 5)})
    assert add_key(path, signs_from=1_000) == 8
    found = read_key_file(path)
    assert found is not None
    assert {number: found[number] for number in (1, 7)} == {1: Key(SECRET), 7: Key(SECRET[::-1], 5)}
    assert (len(found), found[8].signs_from, len(found[8].secret)) == (3, 1_000, 32)
    assert found[8].secret not in (SECRET, SECRET[::-1])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_added_key_follows_a_link(tmp_path: Path) -> None:
    """Who keeps the file elsewhere keeps it there."""
    elsewhere, path = tmp_path / "elsewhere", tmp_path / "tracker.db.keys"
    make_key_file(elsewhere, {1: Key(SECRET)})
    path.symlink_to(elsewhere)
    add_key(path, signs_from=0)
    assert path.is_symlink()
    assert sorted(read_key_file(elsewhere) or {}) == [1, 2]


def test_added_key_belongs_to_the_owner_of_the_file(tmp_path: Path) -> None:
    """Root may rotate the keys of a server that runs as somebody else."""
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    path = tmp_path / "tracker.db.keys"
    make_key_file(path, {1: Key(SECRET)})
    os.chown(path, 4_321, 1_234)
    add_key(path, signs_from=0)
    assert (path.stat().st_uid, path.stat().st_gid) == (4_321, 1_234)


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "are missing"), (b"spoiled", "cannot read"), (f"255:{WRITTEN}".encode(), "no higher number")],
)
def test_key_that_cannot_be_added_changes_nothing(tmp_path: Path, content: bytes | None, said: str) -> None:
    """No file is made where one is missed, and none is written over that cannot be understood."""
    path = tmp_path / "tracker.db.keys"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadKeyring, match=said):
        add_key(path, signs_from=0)
    assert [one.read_bytes() for one in tmp_path.iterdir()] == ([content] if content is not None else [])
