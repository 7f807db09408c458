"""A cursor goes on where a page ended, for the one who got it and the question it was given for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.domain.keys import Keyring, new_secret
from tracker.domain.links import Links
from tracker.web.cursors import Cursors
from tracker.web.problems import Problem

OLD, NEW = new_secret(), new_secret()
CURSORS = Cursors(Keyring({1: OLD}))
ACCOUNT, OTHER = b"larkspur", b"rookrook"
LAST = bytes(range(16))

BINARY = st.binary(max_size=40)


@given(question=BINARY, last=st.binary(min_size=16, max_size=16))
def test_cursor_is_read_back(question: bytes, last: bytes) -> None:
    """What was written for a question is read for that question, and fits into a URL as it is."""
    cursor = CURSORS.write(ACCOUNT, question, last)
    assert CURSORS.read(ACCOUNT, question, cursor) == last
    assert len(cursor) == 67
    assert set(cursor) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")


@given(question=BINARY, other=BINARY)
def test_cursor_is_bound_to_its_question(question: bytes, other: bytes) -> None:
    """With other filters the place it marks has no meaning."""
    if question != other:
        with pytest.raises(Problem) as caught:
            CURSORS.read(ACCOUNT, other, CURSORS.write(ACCOUNT, question, LAST))
        assert caught.value.name == "bad-cursor"


def test_cursor_is_bound_to_its_account() -> None:
    """Another's cursor is none."""
    with pytest.raises(Problem):
        CURSORS.read(OTHER, b"", CURSORS.write(ACCOUNT, b"", LAST))


def test_every_change_of_a_cursor_is_noticed() -> None:
    """No character can be altered, added or left out (B-2)."""
    cursor = CURSORS.write(ACCOUNT, b"", LAST)
    changed = {cursor[:at] + sign + cursor[at + 1 :] for at in range(len(cursor)) for sign in "Aa0_.="}
    changed |= {cursor[:at] + cursor[at + 1 :] for at in range(len(cursor))} | {f"{cursor}{sign}" for sign in "A=. "}
    for spoilt in changed - {cursor}:
        with pytest.raises(Problem):
            CURSORS.read(ACCOUNT, b"", spoilt)


def test_no_link_is_a_cursor() -> None:
    """Tokens of mails are known to anybody who got one."""
    links = Links(Keyring({1: OLD}))
    for token in (links.sign_open(ACCOUNT, LAST), links.sign_unsubscribe(ACCOUNT, LAST, LAST)):
        with pytest.raises(Problem):
            CURSORS.read(ACCOUNT, b"", token)


def test_cursor_outlives_a_new_key() -> None:
    """A reader in the middle of a list goes on after the keys were rotated."""
    cursor = CURSORS.write(ACCOUNT, b"", LAST)
    assert Cursors(Keyring({1: OLD, 2: NEW})).read(ACCOUNT, b"", cursor) == LAST
    with pytest.raises(Problem):
        Cursors(Keyring({1: NEW})).read(ACCOUNT, b"", cursor)
