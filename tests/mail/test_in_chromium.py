"""Every rewritten link leads where Chromium would have gone, and nothing else of a mail is another."""

import email
import html
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from tests.mail.chromium import WITH_SCRIPTS_AND_WITHOUT, Chromium, chromium
from tests.mail.comparing import check, rewrite, same_but_for_links
from tests.mail.soup import MAILS, WEB_ADDRESSES
from tests.mail.test_html import MAILS as PROJECT_MAILS
from tests.shared_data import shared
from tracker.demo.newsletter import read_newsletter
from tracker.domain.destinations import BadDestination, judge_destination
from tracker.mail import html as rewriting
from tracker.mail import scanner
from tracker.mail.links import Judge

pytestmark = pytest.mark.browser

_BATCH = 10
short_or_long = pytest.mark.parametrize(
    "batches", [200, pytest.param(1_500, marks=pytest.mark.long)], ids=["short", "long"]
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    """One for all tests of this module: they leave nothing behind."""
    with chromium() as one:
        yield one


def own_mails() -> list[str]:
    """Those of the project: its tests' and the demo's."""
    return [read_newsletter().html, *(re.sub("[«»¶]", "", mail) for mail in PROJECT_MAILS.values())]


def published_mails() -> list[str]:
    """Templates and HTML parts that others wrote."""
    templates = [path.read_bytes().decode("utf-8", "replace") for path in sorted(shared("html").rglob("*.htm*"))]
    files = [path for path in sorted(shared("eml").rglob("*")) if path.is_file()]
    return templates + [part for path in files for part in html_parts(path.read_bytes())]


def html_parts(mail: bytes) -> Iterator[str]:
    """Of a whole mail, in its own charset."""
    for part in email.message_from_bytes(mail).walk():
        content = part.get_payload(decode=True)
        if part.get_content_type() == "text/html" and isinstance(content, bytes):
            yield content.decode(part.get_content_charset() or "utf-8", "replace")


def law(browser: Chromium, batches: int) -> tuple[int, int]:
    """Hold so many batches of machine-made mails to it; gives how many mails and tracked links there were."""
    tried = [0, 0]

    @settings(
        max_examples=batches,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
    )
    @given(st.lists(MAILS, min_size=1, max_size=_BATCH))
    def holds(mails: list[str]) -> None:
        tracked = check(mails, browser)
        tried[0] += len(mails)
        tried[1] += tracked

    holds()
    return tried[0], tried[1]


@short_or_long
def test_machine_made_mail_leads_where_chromium_would_have_gone(browser: Chromium, batches: int) -> None:
    """A4.3, promises 1 and 10: each link that leads through us, each that was left, and every other node."""
    mails, tracked = law(browser, batches)
    print(f"{mails:,} mails, {tracked:,} tracked links")
    assert tracked > mails / 10


def test_mails_of_the_project_lead_where_chromium_would_have_gone(browser: Chromium) -> None:
    """By its parser, and as pages: a page that may run scripts reads ``noscript`` in another way."""
    mails = own_mails()
    assert check(mails, browser) > len(mails)
    pages = [mail for mail in mails if "noscript" in mail or "<svg" in mail or "[if " in mail]
    assert sum(navigated(browser, mail) for mail in pages) > 2 * len(pages)


@pytest.mark.parametrize("step", [10, pytest.param(1, marks=pytest.mark.long)], ids=["short", "long"])
def test_published_mails_lead_where_chromium_would_have_gone(browser: Chromium, step: int) -> None:
    """Those that people sent: all of them by the parser, and some, or all, as pages."""
    mails = published_mails()
    assert len(mails) > 50
    assert check(mails, browser) > 90
    assert sum(navigated(browser, mail) for mail in mails[::step]) > 10


def navigated(browser: Chromium, mail: str) -> int:
    """Hold a mail to it as a page of its own; gives its tracked links, those that scripts would leave included."""
    made = rewrite(mail)
    return sum(
        same_but_for_links(browser.shown(mail, how), browser.shown(made, how), browser, ascii(mail))
        for how in WITH_SCRIPTS_AND_WITHOUT
    )


@pytest.mark.parametrize("batches", [30, pytest.param(1_500, marks=pytest.mark.long)], ids=["short", "long"])
def test_destination_is_what_chromium_opens(browser: Chromium, batches: int) -> None:
    """B-5: of every URL that is accepted, however its host is spelt."""
    accepted = 0

    @settings(max_examples=batches, suppress_health_check=[HealthCheck.data_too_large, HealthCheck.too_slow])
    @given(st.lists(WEB_ADDRESSES, min_size=40, max_size=80))
    def holds(urls: list[str]) -> None:
        nonlocal accepted
        judged = {url: judged_or_none(url) for url in urls}
        pairs = [(url, destination) for url, destination in judged.items() if destination is not None]
        opened = browser.follows([url for url, _ in pairs])
        followed = browser.follows([destination for _, destination in pairs])
        assert [
            pair for pair, one, other in zip(pairs, opened, followed, strict=True) if one is None or one != other
        ] == []
        accepted += len(pairs)

    holds()
    print(f"{accepted:,} accepted URLs")
    assert accepted > batches


def judged_or_none(url: str) -> str | None:
    try:
        return judge_destination(url)
    except BadDestination:
        return None


def last_attributes(mail: str, tag: re.Match[str]) -> dict[str, re.Match[str]]:
    """Of those that stand twice, the last."""
    found = scanner._NAMED_ATTRIBUTE.finditer(mail, *tag.span("attributes"))
    return {attribute["name"].lower(): attribute for attribute in found}


def without_base(**options: Any) -> Judge:
    """Every link is taken for a complete one."""
    return Judge(**{**options, "based": False})


def written_back(edits: Any, mail: str, apply: Callable[[Any, str], str] = rewriting._apply) -> str:
    """Through a tree."""
    return LexborHTMLParser(apply(edits, mail)).html or ""


def to_the_end(self: scanner._Scanner, at: int, run: Callable[..., int] = scanner._Scanner.run) -> int:
    """Whatever has swallowed the rest."""
    run(self, at)
    return len(self._html)


BROKEN: dict[str, tuple[Any, str, Any]] = {
    "references are left as they stand": (rewriting, "decode_attribute", lambda value: value),
    "references are read as in a text": (rewriting, "decode_attribute", html.unescape),
    "the last of two attributes counts": (scanner, "_read_attributes", last_attributes),
    "a base is overlooked": (rewriting, "Judge", without_base),
    "a tree is written back": (rewriting, "_apply", written_back),
    "a pixel is put at the very end": (scanner._Scanner, "run", to_the_end),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_rewriter_is_caught(browser: Chromium, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each mail of the project is one that somebody's rewriter got wrong."""
    monkeypatch.setattr(*BROKEN[name])
    with pytest.raises(AssertionError):
        check(own_mails(), browser)
