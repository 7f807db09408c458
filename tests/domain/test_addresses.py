"""Addresses: one mailbox is one opt-out, two people are never one, and nothing else is let in."""

import hashlib
import json
import re
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from tests.shared_data import shared
from tracker.domain.addresses import (
    Address,
    InvalidAddress,
    address_key,
    address_keys,
    canonical,
    hashed_address_key,
    mask,
    read_address,
)

PEPPER = bytes(range(32))
DOCUMENT = Path(__file__).parents[2] / "docs" / "addresses.md"

FORMS = [
    ("Bob@Example.COM", "Bob@example.com", "bob@example.com"),
    ("Info@Example.com", "Info@example.com", "info@example.com"),
    ('"bob"@example.com', "bob@example.com", "bob@example.com"),
    ('"Bob"@example.com', "Bob@example.com", "bob@example.com"),
    (r'"b\ob"@example.com', "bob@example.com", "bob@example.com"),
    ('"b ob"@example.com', '"b ob"@example.com', '"b ob"@example.com'),
    ('"B@ob"@example.com', '"B@ob"@example.com', '"b@ob"@example.com'),
    (r'"b\"\\ob"@example.com', r'"b\"\\ob"@example.com', r'"b\"\\ob"@example.com'),
    ("jose\u0301@x.de", "jose\u0301@x.de", "jos\u00e9@x.de"),
    ("JOSE\u0301@x.de", "JOSE\u0301@x.de", "jos\u00e9@x.de"),
    ("ｂob@example.com", "ｂob@example.com", "ｂob@example.com"),
    ("straße@x.de", "straße@x.de", "straße@x.de"),
    ("bob@straße.de", "bob@xn--strae-oqa.de", "bob@xn--strae-oqa.de"),
    ("bob@EXÄMPLE.de", "bob@xn--exmple-cua.de", "bob@xn--exmple-cua.de"),
    ("bob@XN--EXMPLE-CUA.de", "bob@xn--exmple-cua.de", "bob@xn--exmple-cua.de"),
    ("bob@ex。ample.com", "bob@ex.ample.com", "bob@ex.ample.com"),
    ("bob@example.com.", "bob@example.com", "bob@example.com"),
    ("bob@example.com。", "bob@example.com", "bob@example.com"),
    ("БОБ@пример.рф", "БОБ@xn--e1afmkfd.xn--p1ai", "боб@xn--e1afmkfd.xn--p1ai"),
    ("bob+tag@gmail.com", "bob+tag@gmail.com", "bob+tag@gmail.com"),
    ("b.o.b@gmail.com", "b.o.b@gmail.com", "b.o.b@gmail.com"),
    ("!#$%&'*+-/=?^_`.{|}~@example.com", "!#$%&'*+-/=?^_`.{|}~@example.com", "!#$%&'*+-/=?^_`.{|}~@example.com"),
    ("bob@corp.local", "bob@corp.local", "bob@corp.local"),
    ("bob@example.test", "bob@example.test", "bob@example.test"),
    ("b@1.de", "b@1.de", "b@1.de"),
    ('"a\u037eb"@x.de', '"a\u037eb"@x.de', '"a;b"@x.de'),
]

REFUSED = {
    "bob\u200b@x.com": "U+200B",
    "bob@x\u200b.com": "U+200B",
    "bob@x\u00ad.com": "U+00AD",
    "bob@x.com\n": "U+000A",
    "bob\r\nBcc: eve@x.com": "U+000D",
    "b\0ob@x.com": "U+0000",
    "bob@x\0.com": "U+0000",
    '"b\x07ob"@x.com': "U+0007",
    "b\x85ob@x.com": "U+0085",
    "b\u00a0ob@x.com": "U+00A0",
    '"b\u2003ob"@x.com': "U+2003",
    "bob\ud800@x.com": "U+D800",
    "bob@\udfff.com": "U+DFFF",
    "b ob@x.com": "SPACE",
    " bob@x.com": "SPACE",
    "bob@x.com ": "not a domain name",
    "bob@ x.com": "not a domain name",
    "<bob@x.com>": "alone",
    "Bob <bob@x.com>": "alone",
    '"Bob" <bob@x.com>': "alone",
    "bob@x.com, eve@x.com": "one address",
    "bob@x.com;eve@x.com": "one address",
    "bob@x.com eve@x.com": "one address",
    "bob@eve@x.com": "one address",
    '"bob"@eve"@x.com': "one address",
    '"bob@x.com': "@-sign",
    "": "@ in it",
    "bob": "@ in it",
    "bob@": "not a domain name",
    "@x.com": "before the @",
    '""@x.com': "before the @",
    "bob@localhost": "no dot",
    "bob@com.": "no dot",
    "bob@x..com": "not a domain name",
    "bob@x.com..": "not a domain name",
    "bob@-x.com": "not a domain name",
    "bob@x-.com": "not a domain name",
    "bob@x_y.com": "not a domain name",
    "bob@ab--cd.com": "not a domain name",
    "bob@xn--0.com": "not a domain name",
    "bob@x.ab--cd": "not a domain name",
    "bob@x.xn--a": "not a domain name",
    "bob@1.2.3.4": "domains of the Internet",
    "bob@[127.0.0.1]": "not a domain name",
    ".bob@x.com": "start with a period",
    "b..ob@x.com": "two periods",
    "bob.@x.com": "before the @",
    'b"o"b@x.com': "invalid characters",
    "a" * 65 + "@x.com": "64 bytes",
    "ä" * 33 + "@x.de": "64 bytes",
    '"' + "a " * 32 + '"@x.com': "64 bytes",
    "a@" + "a" * 64 + ".com": "not a domain name",
    "a@" + "abcdefg." * 32 + "de": "254 bytes",
    "a@" + "ä." * 84 + "de": "254 bytes",
    "ä" * 32 + "@" + "abcdefg." * 23 + "abcdef.de": "254 bytes",
}


@pytest.mark.parametrize(("raw", "identity", "suppressed"), FORMS)
def test_an_address_has_three_forms(raw: str, identity: str, suppressed: str) -> None:
    """As written byte for byte, exact before the @ to tell people apart, lower case for opt-outs (A15.1 to A15.6)."""
    assert read_address(raw) == Address(raw=raw, identity=identity, canonical=suppressed)
    assert canonical(raw) == suppressed


@pytest.mark.parametrize("raw", REFUSED, ids=ascii)
def test_what_is_not_one_address_is_refused_with_the_reason(raw: str) -> None:
    """Control characters, zero width, names, lists, odd domains, too much of anything (A15.2)."""
    with pytest.raises(InvalidAddress, match=re.escape(REFUSED[raw])):
        read_address(raw)
    with pytest.raises(InvalidAddress):
        canonical(raw)


def test_other_spellings_of_a_mailbox_are_one_opt_out_and_other_mailboxes_are_not() -> None:
    """Broad where a miss writes to somebody who said no, and not a letter broader (A15.4, A15.6)."""
    assert canonical("bob@EXÄMPLE.de") == canonical("BOB@xn--exmple-cua.de")
    assert canonical("bob@straße.de") != canonical("bob@strasse.de")
    assert canonical("straße@x.de") != canonical("strasse@x.de")
    assert canonical("bob+tag@gmail.com") != canonical("bob@gmail.com")
    assert canonical("b.ob@gmail.com") != canonical("bob@gmail.com")
    assert canonical("ｂob@example.com") != canonical("bob@example.com")


def test_the_longest_address_is_accepted() -> None:
    """64 bytes before the @ and 254 in all are allowed."""
    local = "a" * 64
    domain = ".".join(["b" * 61, "c" * 61, "d" * 61, "de"])
    assert len(f"{local}@{domain}") == 254 - 1
    assert canonical(f"{local}@b{domain}") == f"{local}@b{domain}"
    with pytest.raises(InvalidAddress):
        canonical(f"{local}@bb{domain}")
    assert canonical("ä" * 32 + "@x.de") == "ä" * 32 + "@x.de"


# Nearly addresses: the alphabets are small so that dots, quotes and hyphens meet often.
locals_ = (
    st.text("aA0+.", min_size=1, max_size=6)
    | st.text("aA0.\\\"@ -<>(',", max_size=8)
    | st.integers(60, 66).map(lambda length: "a" * length)
)
quoted = locals_.map(lambda text: f'"{text}"')
labels = (
    st.text("aA0", min_size=1, max_size=3)
    | st.text("aA0-x_", max_size=5)
    | st.integers(60, 65).map(lambda length: "a" * length)
)
domains = st.lists(labels, min_size=1, max_size=5).map(".".join)
top_levels = st.sampled_from(["com", "DE", "museum", "x", "xn--p1ai", "1a", "1", "a1", "-a", "a-", "xn--0", ""])
nearly_addresses = st.builds(
    lambda local, at, domain, top: f"{local}{at}{domain}.{top}",
    locals_ | quoted,
    st.sampled_from(["@"] * 9 + ["", "@@"]),
    domains,
    top_levels,
)


@settings(deadline=None, max_examples=500)
@given(nearly_addresses)
@example("Bob@Example.COM")
@example('"b.ob"@x.com')
@example("b@ab--cd.com")
@example("b@x.xn--p1ai")
def test_the_quick_way_and_the_careful_way_agree_with_an_independent_reading(raw: str) -> None:
    """For ASCII, what one regular expression says is what email-validator says, acceptance and result."""
    assume(not raw.endswith("."))
    try:
        read = validate_email(raw, allow_quoted_local=True, strict=True, check_deliverability=False)
    except EmailNotValidError:
        with pytest.raises(InvalidAddress):
            canonical(raw)
        return
    assume(len(read.local_part) <= 64)
    assert canonical(raw) == f"{read.local_part.lower()}@{read.ascii_domain}"
    assert read_address(raw).canonical == canonical(raw)


@settings(deadline=None)
@given(st.text('abßÄÉéİıΣςσЯ \u0301\u0307\u0327\u212b\u212a.-"\\', min_size=1, max_size=12))
@example("\u0130\u0327")
def test_the_canonical_form_is_its_own_canonical_form(local: str) -> None:
    """So that it does not matter whether a list was made canonical before it was sent to us."""
    try:
        once = canonical(f"{local}@example.com")
    except InvalidAddress:
        assume(False)
    assert canonical(once) == once
    assert unicodedata.is_normalized("NFC", once)


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=()), max_size=40), st.text(max_size=20))
@example("\ud800@x", "com")
@example("a@xn--", "com")
@example("a@\u0338x", "com")
def test_whatever_is_given_is_an_address_or_is_refused(text: str, more: str) -> None:
    """No input raises anything else, and whatever is accepted can be stored and hashed."""
    for raw in (text, f"{text}@{more}.com", f'"{text}"@example.com', f"bob@{text}.{more}"):
        try:
            address = read_address(raw)
        except InvalidAddress as refusal:
            str(refusal).encode()
        else:
            assert address_keys([raw], PEPPER) == [address_key(address.canonical, PEPPER)]


@pytest.mark.parametrize(
    "raw",
    ["a" * 100_000, "@" * 100_000, '"' * 100_000, "a@" + "b." * 50_000 + "com", "\ud800" * 100_000, "ä" * 100_000],
)
def test_a_hundred_thousand_characters_are_refused_for_their_length(raw: str) -> None:
    """Before anything else looks at them."""
    with pytest.raises(InvalidAddress, match="longer than 254"):
        canonical(raw)


def test_real_cases_of_others_are_read_as_they_read_them() -> None:
    """The cases of email-validator's own tests, but for what is decided differently here."""
    decided_otherwise = re.compile(
        r"<.*>$"  # a name beside the address
        r"|[.．]$"  # one dot at the end is taken away (A15.3)
        r"|\.(arpa|invalid|local|localhost|onion|test)$"  # special names may be somebody's own network
        r"|xn--4db"  # right-to-left labels are only checked one by one
        r"|^my\.\ufb2c"  # length counts as written, not after normalization
    )
    differing = []
    for case in _published_cases():
        if not decided_otherwise.search(case["input"]):
            accepted = _is_accepted(case["input"])
            if accepted != case["test"].startswith("test_email_valid"):
                differing.append(case["input"])
    assert differing == []


def _published_cases() -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = json.loads(
        shared("email_addr/email_validator_cases.json").read_text(encoding="utf-8")
    )
    # Characters alone, not addresses; an option that is not used here.
    apart = ("test_email_unsafe_character", "test_email_invalid_character_smtputf8_off")
    return [case for case in cases if case["test"] not in apart]


def _is_accepted(raw: str) -> bool:
    try:
        read_address(raw)
    except InvalidAddress:
        return False
    return True


def test_the_key_is_blake2b_of_sha256_with_the_accounts_pepper() -> None:
    """The stored form of every opt-out: it may never change."""
    digest = hashlib.sha256(b"bob@example.com").digest()
    key = hashlib.blake2b(digest, key=PEPPER, digest_size=16).digest()
    assert address_key("bob@example.com", PEPPER) == key
    assert key.hex() == "592f77d5028c3262f047c3dd7c4de40a"


def test_an_imported_hash_gives_the_key_of_its_address() -> None:
    """So that a list of hashes suppresses people whose addresses we were never told."""
    digest = hashlib.sha256(b"bob@example.com").digest()
    assert hashed_address_key(digest, PEPPER) == address_key(canonical("Bob@EXAMPLE.com"), PEPPER)


def test_a_hash_of_another_kind_is_refused() -> None:
    """An MD5 or hexadecimal digits in place of bytes would suppress nobody, silently."""
    with pytest.raises(ValueError, match="SHA-256"):
        hashed_address_key(hashlib.md5(b"bob@example.com").digest(), PEPPER)
    with pytest.raises(ValueError, match="SHA-256"):
        hashed_address_key(hashlib.sha256(b"bob@example.com").hexdigest().encode(), PEPPER)


def test_two_accounts_know_an_address_by_unrelated_keys() -> None:
    """No list of one account can be matched with another's."""
    assert address_key("bob@example.com", PEPPER) != address_key("bob@example.com", bytes(32))


def test_bulk_keys_stand_in_the_order_given_with_none_for_no_address() -> None:
    """One wrong address never fails ten thousand."""
    keys = address_keys(["Bob@Example.com", "nobody", "боб@пример.рф", "bob@example.com"], PEPPER)
    bob = address_key("bob@example.com", PEPPER)
    assert keys == [bob, None, address_key("боб@xn--e1afmkfd.xn--p1ai", PEPPER), bob]


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("bob@example.com", "b•••@e•••.com"),
        ("b@x.de", "b•••@x•••.de"),
        ("Ada.Lovelace@mail.example.co.uk", "A•••@m•••.uk"),
        ("боб@пример.рф", "б•••@п•••.рф"),
        ("боб@xn--e1afmkfd.xn--p1ai", "б•••@x•••.xn--p1ai"),
        ('"a@b"@example.com', '"•••@e•••.com'),
        ("bob@localhost", "b•••@l•••"),
        ("bob@example.", "b•••@e•••"),
        ("bob", "•••"),
        ("", "•••"),
        ("@", "•••@•••"),
        ("\ud800@\0.com", "•••@•••.com"),
        ("bob@x.<script>", "b•••@x•••"),
        ("bob@x." + "a" * 64, "b•••@x•••"),
    ],
)
def test_a_masked_address_shows_two_letters_and_the_top_level(address: str, shown: str) -> None:
    """Enough for its owner to know it, too little for anybody else (B-8)."""
    assert mask(address) == shown


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=()), max_size=80))
def test_masking_never_fails_and_never_shows_more(text: str) -> None:
    """Two letters and one label at most, whatever it is given."""
    shown = mask(text)
    shown.encode()
    head, _, tail = shown.partition("@")
    assert len(head) <= 4
    assert len(tail) <= 4 + 1 + 63


def test_the_examples_of_the_documentation_are_true() -> None:
    """Whoever hashes a list by docs/addresses.md gets hashes that match."""
    rows = re.findall(
        r"^\| `(.+)` \| `(.+)` \| `([0-9a-f]{64})` \|$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(rows) >= 8
    for written, to_hash, digest in rows:
        assert canonical(written) == to_hash
        assert hashlib.sha256(to_hash.encode()).hexdigest() == digest


def test_the_code_of_the_documentation_hashes_plain_addresses_right() -> None:
    """The lines customers will copy, run as they stand."""
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    for raw in ("Ada@Example.COM", "O'Brien+News@Mail.example.org"):
        assert names["hash_of"](raw) == hashlib.sha256(canonical(raw).encode()).hexdigest()
