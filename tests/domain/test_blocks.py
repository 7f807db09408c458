"""What is stopped is stopped however it is spelt, and nothing else is."""

from collections.abc import Iterable

import pytest

from tracker.domain.blocks import BLOCKED, NOT_ALLOWED, BadBlock, Kind, Stops, block_value
from tracker.domain.destinations import leads_on

ACCOUNT = b"account1"
OTHER = b"account2"


def stops(*blocks: tuple[Kind, str], allowed: dict[bytes, Iterable[str]] | None = None) -> Stops:
    """The stops of blocks as an operator writes them."""
    return Stops(((kind, block_value(kind, text)) for kind, text in blocks), allowed)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("evil.example", "evil.example"),
        (" EVIL.Example. ", "evil.example"),
        ("münchen.example", "xn--mnchen-3ya.example"),
        ("xn--mnchen-3ya.example", "xn--mnchen-3ya.example"),
        ("ｅｖｉｌ．example", "evil.example"),
        ("192.0.2.1", "192.0.2.1"),
        ("0xC0.0.2.1", "192.0.2.1"),
        ("[2001:DB8:0::1]", "[2001:db8::1]"),
    ],
)
def test_host_has_one_spelling(text: str, value: str) -> None:
    """That of browsers: A-labels in small letters, addresses in figures, no final dot."""
    assert block_value(Kind.HOST, text) == value


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("https://evil.example", "not a host alone"),
        ("evil.example/login", "not a host alone"),
        ("evil.example:8443", "not a host alone"),
        ("*.evil.example", "not a host alone"),
        ("user@evil.example", "not a host alone"),
        ("", "not a host alone"),
        ("evil example", "not a host alone"),
        ("evil.exa\tmple", "not a host alone"),
        ("evil.example\\x", "not a host alone"),
        ("2001:db8::1", "not a host alone"),
        ("[::1", "not a host alone"),
        ("[::g]", "not a host alone"),
        ("[:::]", "not a host that a browser could ask for"),
        ("evil%2fexample", "not a host that a browser could ask for"),
        ("256.0.0.1", "not a host that a browser could ask for"),
        ("com", "every host that ends in .com"),
        ("com.", "every host that ends in .com"),
        (".", "every host"),
    ],
)
def test_what_is_no_host_is_refused(text: str, why: str) -> None:
    """With a sentence that says how to write one."""
    with pytest.raises(BadBlock, match=why):
        block_value(Kind.HOST, text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("https://evil.example", "https://evil.example/"),
        (" HTTPS://Evil.EXAMPLE.:443/a/../login?id=1#top ", "https://evil.example/login?id=1"),
        ("http://evil.example:8080/ä", "http://evil.example:8080/%C3%A4"),
        ("https://evil.example/login?id=*", "https://evil.example/login?id=*"),
        ("https://evil.example*", "https://evil.example/*"),
        ("https://evil.example/a*#top*", "https://evil.example/a*"),
        ("https://evil.example/a*b", "https://evil.example/a*b"),
    ],
)
def test_url_has_one_spelling(text: str, value: str) -> None:
    """The serialised one, without fragment; a star at the end stays one."""
    assert block_value(Kind.URL, text) == value


@pytest.mark.parametrize(
    "text", ["evil.example/login", "ftp://evil.example/", "https://me@evil.example/", "*", "", "#"]
)
def test_what_is_no_url_is_refused(text: str) -> None:
    """What no tracked link could lead to needs no block."""
    with pytest.raises(BadBlock):
        block_value(Kind.URL, text)


def test_account_is_named_by_its_id() -> None:
    """In any letters."""
    assert block_value(Kind.ACCOUNT, "00FF00ff00ff00ff") == "00ff00ff00ff00ff"
    with pytest.raises(BadBlock, match="16 hexadecimal digits"):
        block_value(Kind.ACCOUNT, "Larkspur")


@pytest.mark.parametrize(
    "destination",
    [
        "https://evil.example/",
        "http://evil.example:8443/a?b#c",
        "https://www.evil.example/",
        "https://a.b.c.d.evil.example/",
        # A customer's own key signs what no browser serialised.
        "https://EVIL.Example/",
        "https://evil.example.",
        "https://www.evil.example.:444?x",
        "https://%65vil.example/",
        "https://%65vil%2eexample#x",
    ],
)
def test_block_of_a_host_holds_for_all_of_it(destination: str) -> None:
    """Subdomains, any port, any spelling a browser understands."""
    assert leads_on(destination)
    assert stops((Kind.HOST, "evil.example")).refusal(ACCOUNT, destination) == BLOCKED


@pytest.mark.parametrize(
    "destination",
    [
        "https://notevil.example/",
        "https://evil.example.org/",
        "https://example/",
        "https://good.example/?to=evil.example",
        "https://good.example/evil.example",
        "https://good.example/#@evil.example/",
        "https://a^b/",
    ],
)
def test_block_of_a_host_holds_for_nothing_else(destination: str) -> None:
    """A name that only looks alike, or stands elsewhere in the URL."""
    assert stops((Kind.HOST, "evil.example")).refusal(ACCOUNT, destination) is None


@pytest.mark.parametrize(
    ("spelt", "destination"),
    [
        ("192.0.2.1", "http://0xc0.0.2.1/"),
        ("192.0.2.1", "http://3221225985/"),
        ("[2001:db8::1]", "https://[2001:DB8:0:0::1]:8443/"),
        ("münchen.example", "https://www.xn--mnchen-3ya.example/"),
    ],
)
def test_addresses_and_names_are_one_host_in_every_spelling(spelt: str, destination: str) -> None:
    """As browsers read them."""
    assert stops((Kind.HOST, spelt)).refusal(ACCOUNT, destination) == BLOCKED


URL = "https://pages.example/view/phish?id=1"


@pytest.mark.parametrize("destination", [URL, f"{URL}#top", "https://PAGES.example.:443/view/x/../phish?id=1#a"])
def test_block_of_a_url_holds_whatever_its_fragment(destination: str) -> None:
    """The server that is asked never sees it."""
    assert stops((Kind.URL, f"{URL}#login")).refusal(ACCOUNT, destination) == BLOCKED


@pytest.mark.parametrize(
    "destination",
    [
        "https://pages.example/view/phish",
        "https://pages.example/view/phish?id=12",
        "https://pages.example/view/other?id=1",
        "https://pages.example/",
        "https://www.pages.example/view/phish?id=1",
        "http://pages.example/view/phish?id=1",
        "https://pages.example:8443/view/phish?id=1",
    ],
)
def test_block_of_a_url_leaves_its_host_alone(destination: str) -> None:
    """A page of abuse on a host of many is one page."""
    assert stops((Kind.URL, URL)).refusal(ACCOUNT, destination) is None


def test_star_stands_for_whatever_follows() -> None:
    """Since each recipient may have got an own query."""
    one = stops((Kind.URL, "https://pages.example/view/phish*"), (Kind.URL, "https://pages.example/other"))
    for end in ("", "?id=1", "?id=2#top", "ing/more"):
        assert one.refusal(ACCOUNT, f"https://pages.example/view/phish{end}") == BLOCKED
    assert one.refusal(ACCOUNT, "https://pages.example/other") == BLOCKED
    for url in (
        "https://pages.example/view/phis",
        "https://pages.example/other?x",
        "https://pages.example.org/view/phish",
    ):
        assert one.refusal(ACCOUNT, url) is None


def test_block_of_an_account_holds_for_all_its_links() -> None:
    """And for no other account's."""
    one = stops((Kind.ACCOUNT, ACCOUNT.hex()))
    assert (one.stops_account(ACCOUNT), one.stops_account(OTHER)) == (True, False)
    assert one.refusal(ACCOUNT, "https://good.example/") == BLOCKED
    assert one.refusal(ACCOUNT, "https://a^b/") == BLOCKED
    assert one.refusal(OTHER, "https://good.example/") is None


@pytest.mark.parametrize(
    ("destination", "why"),
    [
        ("https://shop.example/", None),
        ("https://www.shop.example:8443/a", None),
        ("https://SHOP.example./", None),
        ("https://shop.example.org/", NOT_ALLOWED),
        ("https://example/", NOT_ALLOWED),
        ("https://a^b/", NOT_ALLOWED),
    ],
)
def test_account_may_be_held_to_hosts(destination: str, why: str | None) -> None:
    """Those and what is under them; other accounts are free."""
    one = stops(allowed={ACCOUNT: ["shop.example", "other.example"]})
    assert one.refusal(ACCOUNT, destination) == why
    assert one.refusal(OTHER, destination) is None


def test_block_goes_before_what_is_allowed() -> None:
    """An operator who blocks means it."""
    one = stops((Kind.HOST, "shop.example"), allowed={ACCOUNT: ["shop.example"]})
    assert one.refusal(ACCOUNT, "https://shop.example/") == BLOCKED


def test_without_blocks_nothing_is_stopped() -> None:
    """Not even what no browser can read."""
    assert Stops().refusal(ACCOUNT, "https://a^b/") is None
    assert not Stops().stops_account(ACCOUNT)


def test_name_without_end_costs_nothing() -> None:
    """A customer may sign a host of a thousand labels, which nobody can look up."""
    assert stops((Kind.HOST, "evil.example")).refusal(ACCOUNT, f"https://{'a.' * 900}evil.example/") is None
