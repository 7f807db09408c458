"""Web addresses in plain text are found as people see them."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.mail.pieces import pieces
from tests.mail.tracking import OWN, track
from tracker.mail.links import Link, Rewritten
from tracker.mail.text import rewrite_text

_HREF = re.compile(rf"{re.escape(OWN)}c/([0-9]+)\.")


def rewrite(text: str, first: int = 0) -> Rewritten:
    return rewrite_text(text, track=track, own=OWN, first=first)


@pytest.mark.parametrize(
    "marked",
    [
        "«https://x.example/a»",
        "See «https://x.example/a».",
        "«http://x.example», «HTTPS://x.example/b»; «https://x.example:8080/c»: yes!",
        "Really «https://x.example/?q=a.b,c»?!",
        "What about «https://x.example/a»...",
        "(«https://x.example/a»)",
        "(see «https://x.example/a».)",
        "(«https://en.x.example/Tracker_(server)»)",
        "«https://en.x.example/Tracker_(server)»",
        "«https://x.example/a(b)c(d)»)).",
        "[«https://x.example/?a[]=1»]",
        "{«https://x.example/»}",
        "[text](«https://x.example/a»)",
        "<«https://x.example/a»>",
        "<«https://x.example/a.»>, <«https://x.example/(»>",
        "<«https://x.example/a».",
        "«https://x.example/a».>",
        "\"«https://x.example/a»\" '«https://x.example/b»'",
        "“«https://x.example/a»” «https://x.example/b»… „«https://x.example/c»“",
        "«https://x.example/a»\r\n«https://x.example/b»\t«https://x.example/c»\xa0d",
        "«https://x.example/a»\u200b and «https://x.example/b»\ufeff",
        "请看«https://x.example/a»。謝謝（«https://x.example/b»）",
        "«https://пример.example/путь»",
        "Link:«https://x.example/a», url=«https://x.example/b»",
        "«https://x.example/?u=https://y.example/»",
        "«https://x.example/~a-b_c/%20+$!*'(),;:@&=d»",
        "«https://[2001:db8::1]/a».",
        "https://t.example/u/token and «https://x.example/»",
        "https://ada:secret@x.example/ and «https://x.example/»",
        "https://x.example/{{ user.id }}/a, https://x.example/*|FIRST NAME|*. https://x.example/<%= id %>.",
        "(https://x.example/%%ID%%) https://x.example/[[ID]] https://x.example/?a=%recipient.id%",
        "«https://x.example/{{» user }",
        "",
    ],
)
def test_addresses_are_replaced_and_nothing_else(marked: str) -> None:
    """Punctuation, brackets and quotes around an address are the sentence's, those within are its own."""
    rewritten = rewrite(re.sub("[«»]", "", marked))
    hrefs = (f"{OWN}c/{link.number}." for link in rewritten.links if link.tracked)
    assert rewritten.content == re.sub("«[^»]*»", lambda _: next(hrefs), marked)
    assert next(hrefs, None) is None


@pytest.mark.parametrize(
    "text",
    pieces(
        "xhttps://x.example/·git+https://x.example/·httpſ://x.example/·http://·See https://.·(https://)·http:x.example·"
        "www.x.example·ftp://x.example/·ada@x.example·{{unsubscribe_url}}"
    ),
)
def test_what_is_no_web_address_is_not_reported(text: str) -> None:
    """Words that only look like one are neither tracked nor counted."""
    assert rewrite(text) == Rewritten(content=text, links=())


def test_addresses_are_numbered_in_order_tracked_or_not() -> None:
    """The report tells of each one, with the reason where it is left."""
    assert rewrite("https://X.example, https://x.example/{{ id }}! <https://t.example/u/x>", first=2).links == (
        Link(number=2, url="https://x.example/", tracked=True, why=None),
        Link(number=3, url="https://x.example/{{ id }}", tracked=False, why="merge tag"),
        Link(number=4, url="https://t.example/u/x", tracked=False, why="own link"),
    )


def test_destination_holds_all_of_the_address() -> None:
    """What was cut off at the end would lead elsewhere."""
    urls = [link.url for link in rewrite("(https://x.example/a_(b)?c=[d]&e#f.g). https://x.example/<%= a %>b?").links]
    assert urls == ["https://x.example/a_(b)?c=[d]&e#f.g", "https://x.example/<%= a %>b"]


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(
            pieces(
                "https://·http://·x.example·/a·?b=·.·,·)·(·]·[·{{·}}·*|·|*·<%·%>·%%·<·>· ·\n·\"·'·a·é·"
                "。·https://t.example/·@·\\"
            )
        ),
        max_size=16,
    ).map("".join)
)
def test_without_its_edits_a_text_is_as_it_was(text: str) -> None:
    """Between the hrefs every character stands as before, and each href stands for an address."""
    rewritten = rewrite(text)
    tracked = [link.number for link in rewritten.links if link.tracked]
    pieces = _HREF.split(rewritten.content)
    assert [int(number) for number in pieces[1::2]] == tracked
    pattern = r"(?i:https?://\S.*?)".join(map(re.escape, pieces[::2]))
    assert re.fullmatch(pattern, text, re.DOTALL)


@pytest.mark.parametrize("piece", ["https://x{{ ", "https://x*| ", "https://x<% ", "https://x{% ", "https://x[[a "])
def test_hostile_text_is_read_once(piece: str) -> None:
    """A merge tag that is never closed is looked for no further than the next one."""
    assert len(rewrite(piece * 20_000).links) == 20_000


def test_brackets_without_number_are_taken_off() -> None:
    """Three hundred thousand closing brackets belong to the sentence."""
    assert [link.url for link in rewrite("https://x.example/a" + ").]" * 100_000).links] == ["https://x.example/a"]
