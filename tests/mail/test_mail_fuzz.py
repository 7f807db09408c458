"""Tens of thousands of mails no person would write: not a character is lost, and the work grows with the text."""

import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.mail.pieces import pieces
from tests.mail.soup import MAILS, PIECES
from tests.mail.test_html import rewrite, undo
from tests.mail.test_text import _HREF
from tests.mail.tracking import OWN, PIXEL, track
from tracker.mail.scanner import scan
from tracker.mail.text import rewrite_text

EVERY_CHARACTER = st.characters(exclude_categories=())
SOUP = MAILS | st.lists(PIECES | st.text(EVERY_CHARACTER, max_size=8), max_size=20).map("".join)
short_or_long = pytest.mark.parametrize(
    "examples", [200, pytest.param(5_000, marks=pytest.mark.long)], ids=["short", "long"]
)


@short_or_long
def test_mail_of_any_characters_is_as_it_was_but_for_its_links(examples: int) -> None:
    """Nothing is raised, and with the links put back every character stands where it stood."""

    @settings(max_examples=examples)
    @given(SOUP)
    def law(html: str) -> None:
        rewritten = rewrite(html)
        assert undo(rewritten, html) == html
        assert rewritten.content.count(PIXEL) == html.count(PIXEL) + 1

    law()


@short_or_long
def test_text_of_any_characters_is_as_it_was_but_for_its_addresses(examples: int) -> None:
    """Each address that is tracked has its href in its place, and all between them stays."""
    words = st.sampled_from(
        pieces("https://·http://·HTTPS://·x.example·/·?·#·{{·}}·(·)·<·>·.·,·&·=·@·\\·\"·'·\n· ·]·*|·|*")
    )

    @settings(max_examples=examples)
    @given(st.lists(words | st.text(EVERY_CHARACTER, max_size=4), max_size=24).map("".join))
    def law(text: str) -> None:
        rewritten = rewrite_text(text, track=track, own=OWN)
        parts = _HREF.split(rewritten.content)[::2]
        assert len(parts) == sum(link.tracked for link in rewritten.links) + 1
        assert text.startswith(parts[0])
        assert text.endswith(parts[-1])
        rest = text
        for part in parts:
            _, found, rest = rest.partition(part) if part else ("", "", rest)
            assert found == part

    law()


# Each is repeated: what opens and never ends, what ends and was never opened, and what is nearly a link.
GROWING = pieces(
    "<·</·<a ·<a href=\"·<a href='x' ·<a href=https://x.example/·<!--·<!--[if mso]>·<!--[if mso]>-->·<svg>·</svg>·"
    "<svg><desc>·"
    "<svg><desc><b>·<script><!--<script>·</script>·<style>·<svg><style>·<base ·<base href=x>·&·&#x·&amp·<b x='·-->·]]>·"
    "<![CDATA[·"
    "<a/href·<a\0·<p>·</p>·{{·*|·<%·<a href={{>·<a href='{{'>·=·\"·/·<title>·</title>·<v:rect ·\n·<?"
)


@pytest.mark.parametrize("piece", GROWING, ids=ascii)
def test_twice_the_mail_is_twice_the_work(piece: str) -> None:
    """Counted in lines of Python, not in seconds. What patterns do within one line is bounded: they never go back."""
    once, twice = (steps(rewrite, piece * count) for count in (500, 1_000))
    assert twice <= 2.2 * once + 100


@pytest.mark.parametrize(
    "piece", ["https://x{{ ", "https://x) ", "https://", "(https://x.example/)", "https://x.example/a.,;"]
)
def test_twice_the_text_is_twice_the_work(piece: str) -> None:
    """The same for a mail of plain text."""

    def rewrite(text: str) -> object:
        return rewrite_text(text, track=track, own=OWN)

    once, twice = (steps(rewrite, piece * count) for count in (500, 1_000))
    assert twice <= 2.2 * once + 100


def test_work_that_grows_faster_is_counted() -> None:
    """A scanner that begins again after each piece would be seen."""

    def again_and_again(html: str) -> None:
        for start in range(0, len(html), 10):
            scan(html[start:])

    once, twice = (steps(again_and_again, "<a href=x>" * count) for count in (50, 100))
    assert twice > 3 * once


def steps(work: Callable[[str], object], text: str) -> int:
    """How many lines of Python are carried out."""
    count = 0

    def line(frame: Any, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return line

    before = sys.gettrace()
    sys.settrace(line)
    try:
        work(text)
    finally:
        sys.settrace(before)
    return count
