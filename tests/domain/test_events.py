"""Hits keep what may be kept: no reader's full address, no byte that a database refuses."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.domain.events import cleaned, network_of


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.77", "203.0.113.0"),
        ("203.0.113.0", "203.0.113.0"),
        ("2001:db8:1234:5678:9abc:def0:1234:5678", "2001:db8:1234::"),
        ("2001:DB8:1234:5678::1", "2001:db8:1234::"),
        ("fe80::1%eth0", "fe80::"),
        ("::1", "::"),
        ("::ffff:203.0.113.77", "203.0.113.0"),
        ("::FFFF:cb00:714d", "203.0.113.0"),
        ("2002:cb00:714d::1", "203.0.113.0"),
        ("2001:0:4136:e378:8000:63bf:34ff:8eb2", "2001:0:4136::"),
    ],
)
def test_address_is_cut_to_its_network(address: str, network: str) -> None:
    """A /24, or a /48; where IPv6 carries an address of IPv4 in its beginning, that one is cut."""
    assert network_of(address) == network


@pytest.mark.parametrize(
    "address",
    [
        "",
        ".",
        "testclient",
        "reader.example.com",
        "unix:/run/tracker.sock",
        "203.0.113.77:1234",
        "203.0.113.77.",
        "203.0.113.77.1",
        "203.0.113.77, 198.51.100.1",
        " 203.0.113.77",
        "203.0.113.77\n",
        "[2001:db8::1]",
        "2001:db8::1::",
        "２０３.0.113.77",
        ":",
    ],
)
def test_what_is_no_address_is_not_kept(address: str) -> None:
    """Least of all with a part cut off that was not the last of an address."""
    assert network_of(address) is None


@given(st.ip_addresses())
def test_full_address_is_never_kept(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """Not the last eight bits of IPv4, nor the last eighty of IPv6, however it is written."""
    texts = {str(address), address.exploded}
    if isinstance(address, ipaddress.IPv4Address):
        texts |= {f"::ffff:{address}", str(ipaddress.IPv6Address((0x2002 << 112) | (int(address) << 80) | 1))}
    for text in texts:
        kept = ipaddress.ip_address(network_of(text) or "")
        assert int(kept) & (0xFF if kept.version == 4 else (1 << 80) - 1) == 0


@given(st.text())
def test_nothing_is_kept_but_a_network(text: str) -> None:
    """Whatever stands where an address should."""
    network = network_of(text)
    assert network is None or network_of(network) == network


@given(st.text(st.characters(exclude_categories=()), max_size=40), st.integers(0, 30))
def test_cleaned_text_can_be_stored_everywhere(text: str, longest: int) -> None:
    """No NUL, no half of a surrogate pair, no more characters than there is room for."""
    kept = cleaned(text, longest)
    assert len(kept) <= longest
    assert "\0" not in kept
    assert kept.encode("utf-8").decode("utf-8") == kept


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_clean_text_stays_as_it_is(text: str) -> None:
    """Cleaning takes away what it must, and nothing else."""
    assert cleaned(text, len(text)) == text
    assert cleaned(f"\0{text}\ud800", len(text) + 2) == f"{text}?"
