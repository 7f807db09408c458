"""Signed links: what was signed is read, and nothing else is."""

import random
import string
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous.encoding import base64_decode, base64_encode

from tracker.domain.destinations import LONGEST_DESTINATION
from tracker.domain.keys import Keyring, Purpose
from tracker.domain.links import LONGEST, BadToken, Link, Links, read, sign

SECRETS = {number: bytes([number]) * 32 for number in (1, 2, 3)}
KEYRING = Keyring(SECRETS)
LINKS = Links(KEYRING)

ACCOUNT = bytes(range(8))
MESSAGE = bytes(range(16))
ADDRESS_KEY = bytes(range(16, 32))
DESTINATION = "https://shop.example/?a=1&b=2#top"

MAIL_PURPOSES = (Purpose.OPEN, Purpose.CLICK, Purpose.UNSUBSCRIBE, Purpose.PREFERENCES)

accounts = st.binary(min_size=8, max_size=8)
keys_of_16_bytes = st.binary(min_size=16, max_size=16)
visible = st.text(string.ascii_letters + string.digits + string.punctuation, max_size=60)
destinations = visible.map(lambda rest: f"https://shop.example/?{rest}")


def a_token(purpose: Purpose, links: Links = LINKS, account: bytes = ACCOUNT, message: bytes = MESSAGE) -> str:
    match purpose:
        case Purpose.OPEN:
            return links.sign_open(account, message)
        case Purpose.CLICK:
            return links.sign_click(account, message, 7, DESTINATION)
        case Purpose.UNSUBSCRIBE:
            return links.sign_unsubscribe(account, message, ADDRESS_KEY)
        case _:
            return links.sign_preferences(account, message, ADDRESS_KEY)


def reader(purpose: Purpose, links: Links = LINKS) -> Callable[[str], Link]:
    readers = (links.read_open, links.read_click, links.read_unsubscribe, links.read_preferences)
    return dict(zip(MAIL_PURPOSES, readers, strict=True))[purpose]


def accepted(purpose: Purpose, token: str, links: Links = LINKS) -> bool:
    try:
        reader(purpose, links)(token)
    except BadToken:
        return False
    return True


@given(accounts, keys_of_16_bytes)
def test_what_an_open_was_signed_with_is_read(account: bytes, message: bytes) -> None:
    """read(sign(link)) == link, in 57 characters."""
    token = LINKS.sign_open(account, message)
    assert LINKS.read_open(token) == Link(account, message)
    assert len(token) == LONGEST[Purpose.OPEN] == 57


@given(accounts, keys_of_16_bytes, st.integers(0, 65_535), destinations)
def test_what_a_click_was_signed_with_is_read(account: bytes, message: bytes, number: int, destination: str) -> None:
    """read(sign(link)) == link, the destination byte for byte, in 59 characters and 4/3 of its length."""
    token = LINKS.sign_click(account, message, number, destination)
    assert LINKS.read_click(token) == Link(account, message, number, destination)
    assert len(token) == 59 + -(-4 * len(destination) // 3)


@given(accounts, keys_of_16_bytes, keys_of_16_bytes)
def test_what_an_opt_out_was_signed_with_is_read(account: bytes, message: bytes, address_key: bytes) -> None:
    """read(sign(link)) == link, in 78 characters."""
    link = Link(account, message, address_key=address_key)
    for signed, read_back in (
        (LINKS.sign_unsubscribe, LINKS.read_unsubscribe),
        (LINKS.sign_preferences, LINKS.read_preferences),
    ):
        token = signed(account, message, address_key)
        assert read_back(token) == link
        assert len(token) == LONGEST[Purpose.UNSUBSCRIBE] == LONGEST[Purpose.PREFERENCES] == 78


def test_longest_destination_gives_the_longest_token() -> None:
    """The limit on what is decoded refuses nothing that was made."""
    destination = f"https://shop.example/{'x' * LONGEST_DESTINATION}"[:LONGEST_DESTINATION]
    token = LINKS.sign_click(ACCOUNT, MESSAGE, 65_535, destination)
    assert len(token) == LONGEST[Purpose.CLICK] == 2_790
    assert LINKS.read_click(token).destination == destination


ALPHABET = f"{string.ascii_letters}{string.digits}-_=.+/%~! \0\né０"


def changed_by_a_character(token: str) -> Iterator[str]:
    """Every substitution, insertion and suffix of one character, and every omission."""
    for place in range(len(token) + 1):
        for character in ALPHABET:
            yield token[:place] + character + token[place:]
            if place < len(token) and token[place] != character:
                yield token[:place] + character + token[place + 1 :]
        if place < len(token):
            yield token[:place] + token[place + 1 :]
    yield from (token + suffix for suffix in ("==", "===", "====", "!!!!", ".AAAA"))


@pytest.mark.parametrize("purpose", MAIL_PURPOSES)
def test_token_changed_by_a_character_is_refused(purpose: Purpose) -> None:
    """B-2: base64 spells the same bytes in several ways, and one is right."""
    token = a_token(purpose)
    assert accepted(purpose, token)
    assert [changed for changed in changed_by_a_character(token) if accepted(purpose, changed)] == []


def test_thousand_tokens_changed_by_a_character_are_refused() -> None:
    """B-2, on tokens of many accounts and messages: where base64 leaves bits over, and anywhere."""
    chance = random.Random(2)
    for purpose in MAIL_PURPOSES * 250:
        token = a_token(purpose, account=chance.randbytes(8), message=chance.randbytes(16))
        assert accepted(purpose, token)
        for place in (len(token) - 1, token.index(".") - 1, chance.randrange(len(token))):
            other = chance.choice(ALPHABET.replace(token[place], ""))
            assert not accepted(purpose, token[:place] + other + token[place + 1 :])
            assert not accepted(purpose, token[: place + 1] + other + token[place + 1 :])


@pytest.mark.long
@pytest.mark.parametrize("purpose", MAIL_PURPOSES)
def test_every_change_of_a_thousand_tokens_is_refused(purpose: Purpose) -> None:
    """B-2 in full."""
    chance = random.Random(3)
    for _ in range(250):
        token = a_token(purpose, account=chance.randbytes(8), message=chance.randbytes(16))
        assert not any(accepted(purpose, changed) for changed in changed_by_a_character(token))


@given(st.text())
def test_anything_else_is_refused(text: str) -> None:
    """No string makes a reader fail in another way than by saying no."""
    assert not any(accepted(purpose, text) for purpose in MAIL_PURPOSES)


@pytest.mark.parametrize("text", ["", ".", "..", "AA", "AA.", ".AA", "A" * 57, "\ud800", "\0", "AQ.AQ"])
def test_what_is_hardly_a_token_is_refused(text: str) -> None:
    """Nor does any of these."""
    assert not any(accepted(purpose, text) for purpose in MAIL_PURPOSES)


@pytest.mark.parametrize("signed_for", Purpose)
@pytest.mark.parametrize("read_as", Purpose)
def test_token_is_good_for_its_purpose_alone(signed_for: Purpose, read_as: Purpose) -> None:
    """B-1: even the same bytes, signed for one thing, do nothing else."""
    body = MESSAGE + ADDRESS_KEY
    token = sign(KEYRING, signed_for, ACCOUNT, body)
    if signed_for == read_as:
        assert read(KEYRING, read_as, token, 78).endswith(body)
    else:
        with pytest.raises(BadToken):
            read(KEYRING, read_as, token, 78)


def forged(account: bytes, number: int, signature_of: Callable[[bytes], bytes]) -> str:
    value = base64_encode(bytes([number]) + account + MESSAGE)
    return (value + b"." + signature_of(value)).decode()


def test_account_cannot_sign_for_another() -> None:
    """The key of one account makes no token that names another one."""
    mine, theirs = ACCOUNT, bytes(8)
    my_signature = KEYRING.signer(3, Purpose.OPEN, mine).get_signature
    assert accepted(Purpose.OPEN, forged(mine, 3, my_signature))
    assert not accepted(Purpose.OPEN, forged(theirs, 3, my_signature))


def test_key_cannot_sign_under_the_number_of_another() -> None:
    """A key that leaked is of no use under the number of one that did not."""
    old = KEYRING.signer(1, Purpose.OPEN, ACCOUNT).get_signature
    assert accepted(Purpose.OPEN, forged(ACCOUNT, 1, old))
    assert not accepted(Purpose.OPEN, forged(ACCOUNT, 2, old))
    assert not accepted(Purpose.OPEN, forged(ACCOUNT, 9, old))


@pytest.mark.parametrize("purpose", MAIL_PURPOSES)
def test_tokens_of_three_generations_are_read(purpose: Purpose) -> None:
    """B-3: a rotation breaks no link that was sent; a key that is gone breaks its own alone."""
    rings = [Keyring({number: SECRETS[number] for number in SECRETS if number <= newest}) for newest in SECRETS]
    tokens = [a_token(purpose, Links(ring)) for ring in rings]
    assert len(set(tokens)) == 3
    assert all(accepted(purpose, token) for token in tokens)
    without_the_second = Links(Keyring({1: SECRETS[1], 3: SECRETS[3]}))
    assert [accepted(purpose, token, without_the_second) for token in tokens] == [True, False, True]


class Undecodable(str):
    """A token that says when somebody looks into it."""

    __slots__ = ()

    def encode(self, *_: Any) -> NoReturn:
        raise AssertionError("it was decoded")


@pytest.mark.parametrize("purpose", MAIL_PURPOSES)
def test_long_token_is_refused_before_it_is_decoded(purpose: Purpose) -> None:
    """B-4: a megabyte costs what a character costs."""
    for token in ("A" * 1_000_000, a_token(purpose) + "A" * LONGEST[purpose]):
        assert not accepted(purpose, Undecodable(token))


@pytest.mark.parametrize(
    "destination",
    [
        b"",
        b"//evil.example/",
        b"javascript:alert(1)",
        b"ftp://a.example/",
        b"HTTPS://a.example/",
        b"https://",
        b"https:///a.example",
        b"https://:80/",
        b"https://user@evil.example/",
        b"https://user:pw@evil.example/",
        b"https://@evil.example/",
        b"https://good.example\\@evil.example/",
        b"https://a.example/\\evil.example",
        b"https://a.example/\r\nSet-Cookie: a=b",
        b"https://a.example/\n",
        b"https://\na.example/",
        b"https:// a.example/",
        b"https://a b.example/",
        b"https://a.example/\0",
        b"https://\xe9.example/",
        b"https://a.example/\xe9",
        b"https://a.example/" + b"x" * LONGEST_DESTINATION,
    ],
)
def test_signed_destination_that_leads_nowhere_safe_is_refused(destination: bytes) -> None:
    """A4.4: what stands in a header is checked again, since accounts may hold keys to sign clicks of their own."""
    token = sign(KEYRING, Purpose.CLICK, ACCOUNT, MESSAGE + bytes(2) + destination)
    assert not accepted(Purpose.CLICK, token)


def test_signed_text_in_another_spelling_is_refused() -> None:
    """B-2: also by one who holds a key, so that one payload is one token for ever."""
    text, _, _ = a_token(Purpose.OPEN).partition(".")
    others = [f"{text}=", f"{text}==", text[:-1] + chr(ord(text[-1]) + 1)]
    assert [base64_decode(other) for other in others] == [base64_decode(text)] * 3
    signer = KEYRING.signer(3, Purpose.OPEN, ACCOUNT)
    tokens = [f"{spelled}.{signer.get_signature(spelled.encode()).decode()}" for spelled in (text, *others)]
    read(KEYRING, Purpose.OPEN, tokens[0], 100)
    for token in tokens[1:]:
        with pytest.raises(BadToken):
            read(KEYRING, Purpose.OPEN, token, 100)


@pytest.mark.parametrize("purpose", [Purpose.OPEN, Purpose.UNSUBSCRIBE, Purpose.PREFERENCES])
@pytest.mark.parametrize("length", [0, 1, 15, 17, 31])
def test_signed_payload_of_another_length_is_refused(purpose: Purpose, length: int) -> None:
    """A payload says what its purpose says, no more and no less."""
    assert not accepted(purpose, sign(KEYRING, purpose, ACCOUNT, bytes(length)))


def test_link_number_that_does_not_fit_is_an_error() -> None:
    """Nothing is signed that reads as something else."""
    for number in (-1, 65_536):
        with pytest.raises(OverflowError):
            LINKS.sign_click(ACCOUNT, MESSAGE, number, DESTINATION)
    with pytest.raises(UnicodeEncodeError):
        LINKS.sign_click(ACCOUNT, MESSAGE, 0, "https://bücher.example/")


def test_token_holds_no_address() -> None:
    """A1.14: no spelling of a token holds an @, the mark of an address."""
    for purpose in (Purpose.OPEN, Purpose.UNSUBSCRIBE, Purpose.PREFERENCES):
        token = a_token(purpose)
        assert "@" not in token
        assert b"@" not in read(KEYRING, purpose, token, 78)


def test_signer_of_an_account_is_remembered() -> None:
    """From its first link on, whether it was signed here or only read."""
    token = a_token(Purpose.OPEN, signing := Links(Keyring(SECRETS)))
    reading = Links(Keyring(SECRETS))
    reading.read_open(token)
    for links in (signing, reading):
        signer = links._keyring.signer(3, Purpose.OPEN, ACCOUNT)
        assert links._keyring.signer(3, Purpose.OPEN, ACCOUNT) is signer


def test_strangers_never_push_an_account_out_of_the_cache() -> None:
    """Forged tokens for accounts that are none leave nothing behind."""
    ring = Keyring(SECRETS)
    mine = a_token(Purpose.OPEN, Links(ring))
    kept = dict(ring._signers)
    chance = random.Random(4)
    for _ in range(1_000):
        forgery = forged(chance.randbytes(8), 3, lambda _value: b"A" * 22)
        assert not accepted(Purpose.OPEN, forgery, Links(ring))
    assert accepted(Purpose.OPEN, mine, Links(ring))
    assert ring._signers == kept
