"""Pairs of addresses that are nearly the same: one key for the spellings of a mailbox, two for two mailboxes."""

import re
import unicodedata

import ada_url
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.domain.test_addresses import PEPPER, nearly_addresses
from tracker.domain.addresses import InvalidAddress, address_keys, canonical, read_address

_LOCALS = st.text(
    "aAbB01.+-_'ßäÄéÉİıΣςσЯяﬁＡ\u0301\u0307\u212a\u212b\u037e\u200d😀あ 가각\u1100\u1161\"\\@", max_size=8
)
_DOMAINS = st.sampled_from(
    (
        *(
            "x.de",
            "X.DE",
            "x.de.",
            "x。de",
            "ｘ.de",
            "xx.de",
            "straße.de",
            "strasse.de",
            "xn--strae-oqa.de",
            "STRASSE.de",
        ),
        *(
            "bücher.de",
            "bu\u0308cher.de",
            "BÜCHER.de",
            "xn--bcher-kva.de",
            "XN--BCHER-KVA.DE",
            "bucher.de",
            "ß.de",
            "ss.de",
        ),
        *(
            "пример.рф",
            "xn--e1afmkfd.xn--p1ai",
            "faß.x.de",
            "x.de..",
            "x..de",
            "x\u00ad.de",
            "☃.de",
            "İ.de",
            "i̇.de",
            "a.b.c.de",
        ),
    )
)
_ADDRESSES = st.builds("{}@{}".format, _LOCALS | _LOCALS.map('"{}"'.format), _DOMAINS) | nearly_addresses
_CHANGES = (
    str.upper,
    str.lower,
    str.swapcase,
    lambda raw: unicodedata.normalize("NFC", raw),
    lambda raw: unicodedata.normalize("NFD", raw),
    lambda raw: unicodedata.normalize("NFKC", raw),
    lambda raw: raw + ".",
    lambda raw: raw.replace("@", "+tag@"),
    lambda raw: raw.replace(".", "", 1),
    lambda raw: re.sub(r"^([^\"@]*)@", r'"\1"@', raw),
    lambda raw: raw.replace("a", "\\a", 1),
    lambda raw: raw.replace("ss", "ß"),
    lambda raw: f"{raw[:1]}\u0301{raw[1:]}",
)
_PAIRS = st.tuples(_ADDRESSES, st.sampled_from(_CHANGES), st.sampled_from(_CHANGES)).map(
    lambda given: (given[1](given[0]), given[2](given[0]))
)


def mailbox_of(raw: str) -> tuple[str, str]:
    """What an accepted address names, read in another way: domains as URLs have them (A15.3, A15.4)."""
    local, _, domain = raw.rpartition("@")
    if local.startswith('"'):
        local = re.sub(r"\\(.)", r"\1", local[1:-1])
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", local).lower())
    return folded, ada_url.URL(f"http://{domain}/").hostname.removesuffix(".")


def hold(raws: tuple[str, str]) -> None:
    """The laws of a pair."""
    known = [key for key in address_keys(raws, PEPPER) if key is not None]
    accepted = [raw for raw in raws if _is_accepted(raw)]
    assert len(known) == len(accepted)
    for raw, key in zip(accepted, known, strict=True):
        form = canonical(raw)
        assert canonical(form) == form == read_address(raw).canonical
        assert address_keys([form, read_address(raw).identity], PEPPER) == [key, key]
        assert len(form.encode()) <= 300
    if len(known) == 2:
        assert (known[0] == known[1]) == (mailbox_of(accepted[0]) == mailbox_of(accepted[1]))


def _is_accepted(raw: str) -> bool:
    try:
        read_address(raw)
    except InvalidAddress:
        return False
    return True


@pytest.mark.parametrize("examples", [500, pytest.param(20_000, marks=pytest.mark.long)], ids=["short", "long"])
def test_two_addresses_have_one_key_only_if_they_are_one_mailbox(examples: int) -> None:
    """A15.4 to A15.6, both ways; and the canonical form of an address has the key of the address."""

    @settings(max_examples=examples)
    @given(_PAIRS | st.tuples(_ADDRESSES, _ADDRESSES))
    def law(raws: tuple[str, str]) -> None:
        hold(raws)

    law()
