"""Hundreds of thousands of damaged tokens: none is taken for one that was issued."""

import hmac
import random
import string
from collections.abc import Callable, Sequence

import pytest
from itsdangerous import BadData
from itsdangerous.encoding import base64_decode

from tests.domain.test_links import KEYRING, LINKS, MAIL_PURPOSES, a_token, reader
from tracker.domain.ids import new_id
from tracker.domain.keys import Purpose
from tracker.domain.links import LONGEST, BadToken, Link

SPARE = string.ascii_letters + string.digits + "-_.=+/ %\x00\n\u00e9\u212a"
_ISSUED = 50


def flip(token: str, other: str, chance: random.Random) -> str:
    """One bit."""
    place = chance.randrange(len(token))
    return token[:place] + chr(ord(token[place]) ^ 1 << chance.randrange(7)) + token[place + 1 :]


def cut(token: str, other: str, chance: random.Random) -> str:
    """A part of it, from either end or both."""
    start = chance.choice((0, chance.randrange(len(token))))
    return token[start : chance.randrange(start, len(token) + 1)]


def splice(token: str, other: str, chance: random.Random) -> str:
    """The beginning of one and the end of another, of whatever purpose."""
    place = chance.choice((token.index("."), token.index(".") + 1, chance.randrange(len(token))))
    return token[:place] + other[chance.choice((place, other.index("."), other.index(".") + 1)) :]


def put_in(token: str, other: str, chance: random.Random) -> str:
    """A character more, or another."""
    place = chance.randrange(len(token) + 1)
    return token[:place] + chance.choice(SPARE) + token[place + chance.randrange(2) :]


def change_case(token: str, other: str, chance: random.Random) -> str:
    """A letter in the other case."""
    place = chance.randrange(len(token))
    return token[:place] + token[place].swapcase() + token[place + 1 :]


def pad(token: str, other: str, chance: random.Random) -> str:
    """What lax decoders skip, before, after or between."""
    more = chance.choice(("=", "==", " ", "\n", ".", "\u200b", "A" * chance.randrange(1, 100)))
    place = chance.choice((0, len(token), token.index("."), token.index(".") + 1))
    return token[:place] + more + token[place:]


def lengthen(token: str, other: str, chance: random.Random) -> str:
    """A megabyte now and then, a few kilobytes otherwise."""
    return token + chance.choice(SPARE) * chance.choice((3_000,) * 200 + (1_000_000,))


MUTATIONS: Sequence[Callable[[str, str, random.Random], str]] = (
    flip,
    cut,
    splice,
    put_in,
    change_case,
    pad,
    lengthen,
)


def taken(read: Callable[[str], Link], purpose: Purpose, tries: int) -> set[str]:
    """The damaged tokens that ``read`` takes although nobody issued them. It may raise ``BadToken`` only."""
    chance = random.Random(f"{purpose} {tries}")
    issued = {one: [a_token(one, message=new_id()) for _ in range(_ISSUED)] for one in MAIL_PURPOSES}
    others, found = [token for tokens in issued.values() for token in tokens], set()
    for _ in range(tries):
        damaged = chance.choice(issued[purpose])
        for _ in range(chance.choice((1, 1, 1, 2))):
            damaged = chance.choice(MUTATIONS)(damaged, chance.choice(others), chance) if "." in damaged else damaged
        try:
            read(damaged)
        except BadToken:
            continue
        found.add(damaged)
    return found - set(issued[purpose])


@pytest.mark.fault
@pytest.mark.parametrize("tries", [50_000, pytest.param(1_250_000, marks=pytest.mark.long)])
@pytest.mark.parametrize("purpose", MAIL_PURPOSES)
def test_damaged_token_is_no_token(purpose: Purpose, tries: int) -> None:
    """F15: 200,000 over the four purposes, 5,000,000 in the long form; and nothing but ``BadToken`` is raised."""
    assert taken(reader(purpose), purpose, tries) == set()


def lax(token: str) -> Link:
    """A reader that compares bytes, where ours compares characters: several spellings of a token are one to it."""
    if len(token) > 2 * LONGEST[Purpose.OPEN]:
        raise BadToken("too long")
    try:
        value, _, signature = token.encode("ascii", "ignore").rpartition(b".")
        payload = base64_decode(value)
        signer = KEYRING.signer(payload[0], Purpose.OPEN, payload[1:9])
        expected = base64_decode(signer.get_signature(base64_encoded(payload)))
        if not hmac.compare_digest(base64_decode(signature), expected):
            raise BadToken("wrong signature")
    except (BadData, LookupError):
        raise BadToken("not a token") from None
    return Link(payload[1:9], payload[9:25])


def base64_encoded(payload: bytes) -> bytes:
    """The one spelling."""
    token = LINKS.sign_open(payload[1:9], payload[9:25])
    return token.partition(".")[0].encode()


@pytest.mark.fault
def test_lax_reader_is_caught() -> None:
    """F15, broken twin: padding, white space and unused bits make other tokens of the same bytes."""
    assert taken(lax, Purpose.OPEN, 20_000)
