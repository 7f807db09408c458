"""Where a click may lead: to what a browser would open, and nowhere else."""

import contextlib
import json
import re
import string

import ada_url
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.shared_data import shared
from tracker.domain.destinations import LONGEST_DESTINATION, BadDestination, judge_destination, leads_on

ACCEPTED = [
    ("https://example.com", "https://example.com/"),
    ("HTTPS://EXAMPLE.com/Path", "https://example.com/Path"),
    ("http://example.com:80/", "http://example.com/"),
    ("https://example.com:443/", "https://example.com/"),
    ("https://example.com:8443/", "https://example.com:8443/"),
    ("https://example.com/?", "https://example.com/?"),
    ("https://example.com/#", "https://example.com/#"),
    ("https://example.com/?a=1&amp;b=2#top", "https://example.com/?a=1&amp;b=2#top"),
    ("https://example.com/#:~:text=word", "https://example.com/#:~:text=word"),
    ("  https://example.com/ \n", "https://example.com/"),
    ("\x01https://example.com/\x1f", "https://example.com/"),
    ("https://exa\tmple.com/", "https://example.com/"),
    ("ht\ntps://example.com/", "https://example.com/"),
    ("https:\\\\example.com\\a", "https://example.com/a"),
    ("https:/example.com/", "https://example.com/"),
    ("https:example.com/", "https://example.com/"),
    ("https:////example.com/", "https://example.com/"),
    ("https://good.example\\@evil.example/", "https://good.example/@evil.example/"),
    ("https://example.com/a\\b", "https://example.com/a/b"),
    ("https://example.com/?a\\b", "https://example.com/?a\\b"),
    ("https://example.com/@user", "https://example.com/@user"),
    ("https://example.com/?to=ada@example.org", "https://example.com/?to=ada@example.org"),
    ("https://:@example.com/", "https://example.com/"),
    ("https://@example.com/", "https://example.com/"),
    ("https://ex\u00adample.com/", "https://example.com/"),
    ("https://evil。com/", "https://evil.com/"),
    ("https://ابج.example/", "https://xn--mgbcm.example/"),
    ("https://क\u094d\u200dष.example/", "https://xn--11b2ezcw70k.example/"),
    ("https://ｅvil.com/", "https://evil.com/"),
    ("https://bücher.example/", "https://xn--bcher-kva.example/"),
    ("https://faß.example/", "https://xn--fa-hia.example/"),
    ("https://example.com/ä b", "https://example.com/%C3%A4%20b"),
    ("https://example.com/?q=ä b'", "https://example.com/?q=%C3%A4%20b%27"),
    ("https://example.com/#ä b`", "https://example.com/#%C3%A4%20b%60"),
    ('https://example.com/{a}|b^`"<c>', "https://example.com/%7Ba%7D|b%5E%60%22%3Cc%3E"),
    ("https://example.com/?{a}|b^`", "https://example.com/?{a}|b^`"),
    ("https://example.com/a%0d%0aSet-Cookie:b", "https://example.com/a%0d%0aSet-Cookie:b"),
    ("https://example.com/a\0b", "https://example.com/a%00b"),
    ("https://example.com/a/../b/./c", "https://example.com/b/c"),
    ("https://example.com/%2e%2e/b", "https://example.com/b"),
    ("https://0x7f.1/", "https://127.0.0.1/"),
    ("https://127.1/", "https://127.0.0.1/"),
    ("https://2130706433/", "https://127.0.0.1/"),
    ("https://017700000001/", "https://127.0.0.1/"),
    ("https://①②⑦.⓪.⓪.①/", "https://127.0.0.1/"),
    ("https://[2001:DB8:0::1]/", "https://[2001:db8::1]/"),
    ("https://localhost/", "https://localhost/"),
    ("https://example.com./", "https://example.com./"),
]

REFUSED = [
    ("", "not a complete URL"),
    ("#top", "not a complete URL"),
    ("?a=1", "not a complete URL"),
    ("/path", "not a complete URL"),
    ("path/to", "not a complete URL"),
    ("www.example.com", "not a complete URL"),
    ("//evil.example", "not a complete URL"),
    ("///evil.example", "not a complete URL"),
    ("/\\evil.example", "not a complete URL"),
    ("\\\\evil.example", "not a complete URL"),
    ("https://", "not a complete URL"),
    ("https:///", "not a complete URL"),
    ("https://?a", "not a complete URL"),
    ("https://:80/", "not a complete URL"),
    ("https://a b.example/", "not a complete URL"),
    ("https://a\0b.example/", "not a complete URL"),
    ("https://example.com/\ud800", "not a complete URL"),
    ("javascript:alert(1)", "not a web link"),
    ("jAvAsCrIpT:alert(1)", "not a web link"),
    (" javascript:alert(1)", "not a web link"),
    ("\x01javascript:alert(1)", "not a web link"),
    ("java\tscript:alert(1)", "not a web link"),
    ("java\r\nscript:alert(1)", "not a web link"),
    ("javascript://example.com/%0aalert(1)", "not a web link"),
    ("data:text/html,x", "not a web link"),
    ("vbscript:msgbox(1)", "not a web link"),
    ("file:///etc/passwd", "not a web link"),
    ("blob:https://example.com/1", "not a web link"),
    ("view-source:https://example.com/", "not a web link"),
    ("intent://example.com/#Intent;end", "not a web link"),
    ("mailto:ada@example.com", "not a web link"),
    ("ftp://example.com/", "not a web link"),
    ("ws://example.com/", "not a web link"),
    ("example.com:8080/", "not a web link"),
    ("https://user@example.com/", "user name or password"),
    ("https://user:pw@example.com/", "user name or password"),
    ("https://:pw@example.com/", "user name or password"),
    ("https://good.example@evil.example/", "user name or password"),
    ("https://good.example%2F@evil.example/", "user name or password"),
    ("https://a@b@c.example/", "user name or password"),
    (f"https://example.com/{'x' * LONGEST_DESTINATION}", "longer than 2,048 characters"),
    (f"https://example.com/{'ä' * 400}", "longer than 2,048 characters"),
]

BAD_HOSTS = [
    ("https://a<b.example/", "not a complete URL"),
    ("https://a%00b.example/", "not a complete URL"),
    ("https://good.example:80:80/", "not a complete URL"),
    ("https://good.example:65536/", "not a complete URL"),
    ("https://good.example:port/", "not a complete URL"),
    ("https://256.256.256.256/", "not a complete URL"),
    ("https://[::1/", "not a complete URL"),
    ("https://ابج.example&/", "not a host that a browser would ask for"),
    ("https://_%2eب/", "not a host that a browser would ask for"),
    ("https://x\u094d\u200d\u200c/", "not a host that a browser would ask for"),
    ("https://xn--!/", "not a host that a browser would ask for"),
]


@pytest.mark.parametrize(("url", "serialised"), ACCEPTED, ids=lambda value: ascii(value)[:40])
def test_web_link_becomes_what_a_browser_makes_of_it(url: str, serialised: str) -> None:
    """A4.3, B-5: the URL Standard's own serialisation, which can be followed."""
    assert judge_destination(url) == serialised
    assert leads_on(serialised)


@pytest.mark.parametrize(("url", "why"), REFUSED + BAD_HOSTS, ids=lambda value: ascii(value)[:40])
def test_anything_but_a_web_link_is_refused(url: str, why: str) -> None:
    """B-5: the reason is one a sender understands; what a browser would not have mended is not followed either."""
    with pytest.raises(BadDestination, match=why):
        judge_destination(url)


@pytest.mark.parametrize(("url", "why"), REFUSED, ids=lambda value: ascii(value)[:40])
def test_what_is_refused_is_not_followed_as_it_stands(url: str, why: str) -> None:
    """Even signed it leads nowhere; only of a host that cannot be there is nothing to fear."""
    assert not leads_on(url)


def test_longest_destination_is_accepted() -> None:
    """2,048 bytes once it is serialised, and not one more."""
    url = f"https://example.com/{'x' * LONGEST_DESTINATION}"[:LONGEST_DESTINATION]
    assert judge_destination(url) == url
    with pytest.raises(BadDestination):
        judge_destination(f"{url}x")
    assert not leads_on(f"{url}x")


def judged(url: str) -> str | None:
    """What is made of the URL, which is checked for all that holds of every destination."""
    try:
        destination = judge_destination(url)
    except BadDestination:
        return None
    parsed = ada_url.URL(destination)
    assert destination == parsed.href == judge_destination(destination)
    assert leads_on(destination)
    assert destination.isascii()
    assert (parsed.username, parsed.password) == ("", "")
    assert "@" not in re.split(r"[/?#]", destination.split("//", 1)[1], maxsplit=1)[0]
    return destination


hosts = st.sampled_from(["a.example", "BÜCHER.example", "127.1", "[::1]", "xn--fa-hia.example", "a..b", "evil。com"])
odd = st.text("\t\n\r\0 \\/?#@:;%&=.<>{}|^`'\"[]äß。１" + string.ascii_letters + string.digits, max_size=24)
built = st.builds(
    "{}{}{}{}{}{}".format,
    st.sampled_from(["https:", "http:", "HtTp:", " https:", "https\t:", "ftp:", "javascript:", ""]),
    st.sampled_from(["//", "/", "\\\\", "", "///", "//u@", "//u:p@", "//@", "//:@"]),
    hosts | odd,
    st.sampled_from(["", ":", ":80", ":443", ":8080", ":65536", ":x"]),
    st.sampled_from(["", "/", "\\", "?", "#", "/../", "/%2e%2e/", "@"]),
    odd | st.text(max_size=24),
)


@settings(max_examples=500)
@given(st.text() | built)
@example("https://a.example/?\\@")
@example("https://a.example#@")
def test_judging_again_changes_nothing(url: str) -> None:
    """A4.4: parsing what was serialised gives the same, without a user name, and it can be followed."""
    judged(url)


@pytest.mark.long
@settings(max_examples=100_000, deadline=None)
@given(built)
def test_judging_a_hundred_thousand_again_changes_nothing(url: str) -> None:
    """A4.4 in full."""
    judged(url)


@given(st.text() | st.text(string.printable) | built)
def test_followed_is_only_what_names_a_host_in_visible_ascii(url: str) -> None:
    """What may stand in a header, and what no program reads as another host."""
    if leads_on(url):
        assert re.fullmatch(r"https?://[!-~]+", url)
        with contextlib.suppress(ValueError):
            parsed = ada_url.URL(url)
            assert parsed.protocol in ("http:", "https:")
            assert parsed.host
            assert (parsed.username, parsed.password) == ("", "")
            assert "\\" not in url.split("?")[0].split("#")[0]


def test_published_cases_are_judged_as_browsers_do() -> None:
    """web-platform-tests: all that they call a web link is accepted, and serialised as they say; nothing else is.

    Hosts alone that claim to be encoded for DNS, and are not, pass as well: there is none to lead to.
    """
    accepted = 0
    for case in json.loads(shared("url/urltestdata.json").read_text("utf-8")):
        if isinstance(case, str) or case.get("base") not in (None, "about:blank"):
            continue
        destination = judged(case["input"])
        wanted = case.get("protocol") in ("http:", "https:") and not (case["username"] or case["password"])
        if destination is not None and case.get("failure"):
            assert "xn--" in destination
        else:
            assert (destination is not None) == bool(wanted), case
        if destination is not None and wanted:
            assert destination == case["href"] == ada_url.URL(case["input"]).href
            accepted += 1
    assert accepted > 100
