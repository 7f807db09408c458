"""Every page is whole, safe and readable, whatever stands in its values."""

import re
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256

import pytest
from selectolax.lexbor import LexborHTMLParser, LexborNode
from starlette.responses import Response

from tracker.web.pages import Contact, Pages, Parties, read_contact
from tracker.web.static import style_sheet

MAILTO = "mailto:abuse@tracker.example.com"
SENDER = "Larkspur & Rook"
ADDRESS = "b•••@e•••.com"
PARTIES = Parties(sender=SENDER, address=ADDRESS)
SINCE = 1_795_341_600_000
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'; alert(1); '",
    "</title></style></main><h1>gone",
    "{{7*7}}",
    "{% raw %}",
    "&lt;script&gt;",
]

Show = Callable[[Pages], Response]

ALL: dict[str, tuple[int, Show]] = {
    "home": (200, lambda pages: pages.home()),
    "unsubscribe": (200, lambda pages: pages.unsubscribe(PARTIES)),
    "unsubscribe, nothing known": (200, lambda pages: pages.unsubscribe(Parties())),
    "unsubscribed": (200, lambda pages: pages.unsubscribed(PARTIES, preferences="/p/token", undo=True)),
    "unsubscribed, nothing known": (
        200,
        lambda pages: pages.unsubscribed(Parties(), preferences="/p/token", undo=True),
    ),
    "subscribed": (200, lambda pages: pages.subscribed(PARTIES, unsubscribe="/u/token", stopped=False)),
    "stopped": (200, lambda pages: pages.subscribed(PARTIES, unsubscribe="/u/token", stopped=True)),
    "unsubscribed long ago": (200, lambda pages: pages.unsubscribed(PARTIES, preferences="/p/token", undo=False)),
    "undone, and stopped": (200, lambda pages: pages.undone(PARTIES, stopped=True)),
    "subscribed, nothing known": (
        200,
        lambda pages: pages.subscribed(Parties(), unsubscribe="/u/token", stopped=False, nothing_to_undo=True),
    ),
    "opted out": (200, lambda pages: pages.opted_out(PARTIES, since=SINCE, undo_until=SINCE + 1)),
    "opted out for good": (
        200,
        lambda pages: pages.opted_out(Parties(), since=SINCE, undo_until=None, nothing_to_undo=True),
    ),
    "undone": (200, lambda pages: pages.undone(PARTIES, stopped=False)),
    "too late": (409, lambda pages: pages.too_late(PARTIES, since=SINCE)),
    "unreachable": (503, lambda pages: pages.unreachable(5, undoing=False)),
    "not undone": (503, lambda pages: pages.unreachable(5, undoing=True)),
    "problem": (200, lambda pages: pages.problem(title="Bad", status=400, meaning="It is.", remedy="Mend it.")),
    "not found": (404, lambda pages: pages.not_found()),
    "too many": (429, lambda pages: pages.too_many(5)),
    "blocked": (410, lambda pages: pages.blocked()),
    "method not allowed": (405, lambda pages: pages.method_not_allowed("GET, HEAD, POST")),
    "unavailable": (503, lambda pages: pages.unavailable(5)),
    "failed": (500, lambda pages: pages.failed()),
}

UNDO_FORMS = {
    "unsubscribed": "/p/token",
    "unsubscribed, nothing known": "/p/token",
    "opted out": None,
    "not undone": None,
}
"""Where the button that undoes posts to: without a value, to the page's own URL."""

OPT_OUT_FORMS = ("subscribed", "subscribed, nothing known", "stopped")

WITH_A_FORM = ("unsubscribe", "unsubscribe, nothing known", "unavailable")

every_page = pytest.mark.parametrize("name", ALL)


@pytest.fixture(scope="module")
def pages() -> Pages:
    return Pages(MAILTO)


def show(pages: Pages, name: str) -> Response:
    return ALL[name][1](pages)


def read(response: Response) -> LexborHTMLParser:
    return LexborHTMLParser(bytes(response.body))


def text_of(response: Response) -> str:
    """What a person reads in the main part, on one line."""
    return " ".join(one(read(response), "main").text().split())


def one(tree: LexborHTMLParser | LexborNode, selector: str) -> LexborNode:
    """The only element that matches."""
    (node,) = tree.css(selector)
    return node


@every_page
def test_page_has_its_status_and_its_length(pages: Pages, name: str) -> None:
    """A browser, a proxy and a mailbox provider read the outcome from the status line alone."""
    response = show(pages, name)
    assert response.status_code == ALL[name][0]
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["content-length"] == str(len(response.body))


@every_page
def test_page_is_neither_kept_nor_framed_nor_sniffed_nor_told_on(pages: Pages, name: str) -> None:
    """Errors too carry every protective header, and no cookie (A2.3, A12.3, B-30)."""
    headers = show(pages, name).headers
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert "camera=()" in headers["permissions-policy"]
    assert "set-cookie" not in headers


@every_page
def test_policy_allows_the_inline_style_and_nothing_else(pages: Pages, name: str) -> None:
    """The hash in the policy is that of the one style sheet as the browser reads it (B-16)."""
    response = show(pages, name)
    style = re.findall(r"<style>(.*?)</style>", bytes(response.body).decode(), re.DOTALL)
    digest = b64encode(sha256(style[0].encode()).digest()).decode()
    assert len(style) == 1
    assert response.headers["content-security-policy"] == (
        f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


@every_page
def test_page_loads_and_runs_nothing(pages: Pages, name: str) -> None:
    """No script, no picture, no font, no style attribute: nothing a policy would have to stop."""
    tree = read(show(pages, name))
    assert not tree.css("script, img, link, iframe, object, embed, base, [src], [style]")
    assert [a.attributes["href"] for a in tree.css("[href]")] in ([], [MAILTO], ["/p/token", MAILTO])
    assert "url(" not in one(tree, "style").text()
    assert not [key for node in tree.css("*") for key in node.attributes if key.startswith("on")]


@every_page
def test_page_tells_its_language_its_title_and_robots_to_pass(pages: Pages, name: str) -> None:
    """A screen reader needs the language, a phone the viewport, a search engine a no."""
    tree = read(show(pages, name))
    assert one(tree, "html").attributes["lang"] == "en"
    assert one(tree, 'meta[name="viewport"]').attributes["content"] == "width=device-width, initial-scale=1"
    assert one(tree, 'meta[name="robots"]').attributes["content"] == "noindex, nofollow"
    assert one(tree, "title").text().strip()
    assert one(tree, "h1").text().strip()


@every_page
def test_page_arrives_in_the_first_flight(pages: Pages, name: str) -> None:
    """Ten TCP segments (RFC 6928): on a bad line the button is there after one round trip."""
    assert len(show(pages, name).body) < 10 * 1_220


@pytest.mark.parametrize("name", WITH_A_FORM)
def test_form_posts_to_its_own_url_with_one_button(pages: Pages, name: str) -> None:
    """One form, one constant field, one button, no script (A1.10, A1.11)."""
    response = show(pages, name)
    form = one(read(response), "form")
    assert form.attributes == {"method": "post"}
    assert one(form, "button").attributes == {"type": "submit"}
    assert len(form.css("input, select, textarea")) == 1
    assert b'<input type="hidden" name="page" value="1">' in response.body


@every_page
def test_form_stands_only_where_something_can_be_done(pages: Pages, name: str) -> None:
    """To opt out, to undo it, or to try one of them again: no button promises what it cannot do."""
    assert len(read(show(pages, name)).css("form")) == (name in (*WITH_A_FORM, *UNDO_FORMS, *OPT_OUT_FORMS))


def test_question_names_the_sender_the_address_and_the_scope(pages: Pages) -> None:
    """Nobody is asked to press before they know what the press does (A1.17)."""
    text = text_of(pages.unsubscribe(PARTIES))
    assert f"Stop all mail from {SENDER}?" in text
    assert f"{SENDER} may no longer write to {ADDRESS}." in text
    assert "everything they send" in text
    assert "takes effect at once" in text


def test_question_reads_well_when_nothing_is_known(pages: Pages) -> None:
    """The page answers without storage: then it names nobody."""
    text = text_of(pages.unsubscribe(Parties()))
    assert "Stop all mail from this sender?" in text
    assert "the sender may no longer write to you." in text
    assert "None" not in text


def test_confirmation_says_what_holds_and_lets_the_reader_go(pages: Pages) -> None:
    """The page after the commit says who may no longer write to whom (A1.12)."""
    text = text_of(pages.unsubscribed(PARTIES, preferences="/p/token", undo=True))
    assert text.startswith("You are unsubscribed")
    assert f"{SENDER} may no longer write to {ADDRESS}." in text
    assert "You can close this page." in text


def test_confirmation_reads_well_when_nothing_is_known(pages: Pages) -> None:
    """An opt-out counts when the recipient's row is gone: then it names nobody."""
    text = text_of(pages.unsubscribed(Parties(), preferences="/p/token", undo=True))
    assert "The sender may no longer write to you." in text
    assert "None" not in text


def test_a_second_press_shows_the_same_page(pages: Pages) -> None:
    """The bytes do not tell whether the opt-out is new."""
    first, second = (pages.unsubscribed(PARTIES, preferences="/p/token", undo=True) for _ in range(2))
    assert (first.body, first.raw_headers) == (second.body, second.raw_headers)


NAMING: dict[str, Callable[[Pages, Parties], Response]] = {
    "unsubscribe": lambda pages, who: pages.unsubscribe(who),
    "unsubscribed": lambda pages, who: pages.unsubscribed(who, preferences="/p/token", undo=True),
    "subscribed": lambda pages, who: pages.subscribed(who, unsubscribe="/u/token", stopped=False),
    "stopped": lambda pages, who: pages.subscribed(who, unsubscribe="/u/token", stopped=True),
    "opted out": lambda pages, who: pages.opted_out(who, since=SINCE, undo_until=None),
    "undone": lambda pages, who: pages.undone(who, stopped=False),
    "too late": lambda pages, who: pages.too_late(who, since=SINCE),
}


@pytest.mark.parametrize("payload", HOSTILE)
@pytest.mark.parametrize("page", NAMING)
def test_what_a_customer_writes_stays_text(pages: Pages, page: str, payload: str) -> None:
    """A sender's name or an address never becomes markup, and is read as it was written (B-16)."""
    plain = read(NAMING[page](pages, Parties(sender="x", address="y")))
    tree = read(NAMING[page](pages, Parties(sender=payload, address=payload)))
    assert {node.text() for node in tree.css("bdi")} == {payload}
    assert [node.tag for node in tree.css("*")] == [node.tag for node in plain.css("*")]


def test_a_name_written_right_to_left_leaves_the_sentence_alone(pages: Pages) -> None:
    """A name may hold a direction override; isolation keeps it from turning the words around it."""
    tree = read(pages.unsubscribe(Parties(sender="\u202eevil", address=ADDRESS)))
    assert [node.text() for node in tree.css("h1 bdi")] == ["\u202eevil"]
    assert one(tree, "strong > bdi").attributes == {"dir": "ltr"}


def test_home_says_what_this_host_is_and_how_to_opt_out(pages: Pages) -> None:
    """Whoever looks up the host behind a link learns what it does."""
    text = text_of(pages.home())
    assert "delivers the pictures and links of e-mails its customers send" in text
    assert "records opens, clicks and opt-outs" in text
    assert "Use the unsubscribe link in the mail itself." in text


@pytest.mark.parametrize(
    ("value", "contact"),
    [
        (MAILTO, Contact(text="abuse@tracker.example.com", href=MAILTO)),
        ("mailto:a@b.example?subject=x", Contact(text="a@b.example", href="mailto:a@b.example?subject=x")),
        ("MAILTO:a@b.example", Contact(text="a@b.example", href="MAILTO:a@b.example")),
        ("https://b.example/abuse", Contact(text="https://b.example/abuse", href="https://b.example/abuse")),
        ("abuse@example.com", Contact(text="abuse@example.com", href=None)),
        ("+49 30 123456", Contact(text="+49 30 123456", href=None)),
        ("javascript:alert(1)", Contact(text="javascript:alert(1)", href=None)),
        ("http://example.com/", Contact(text="http://example.com/", href=None)),
    ],
)
def test_contact_is_a_link_only_where_a_link_is_safe(value: str, contact: Contact) -> None:
    """A mailto: or https: URL can be followed; everything else is read."""
    assert read_contact(value) == contact


@pytest.mark.parametrize("value", [MAILTO, "https://example.com/abuse?a=1&b=2", "phone 123 <script>"])
@every_page
def test_every_page_tells_where_to_report_abuse(name: str, value: str) -> None:
    """The contact stands on each page once, as a link if it is one."""
    contact = read_contact(value)
    tree = read(show(Pages(value), name))
    assert contact.text in one(tree, "body").text()
    assert [a.attributes["href"] for a in tree.css('a:not([href^="/p/"])')] == [href for href in [contact.href] if href]


def test_home_has_advice_when_the_operator_gave_no_contact() -> None:
    """There is always somebody to write to (RFC 2142: abuse@ the domain)."""
    response = Pages(None).home()
    assert "Forward the whole mail to abuse@ followed by this site’s domain" in text_of(response)
    assert not read(response).css("a")


def test_pages_without_a_contact_are_silent_about_it() -> None:
    """Nothing half-said stands in the footer."""
    assert "Report" not in one(read(Pages(None).not_found()), "footer").text()


def test_damaged_link_is_explained_to_a_person(pages: Pages) -> None:
    """Links break in two when mail is wrapped; the page says how to mend one."""
    text = text_of(pages.not_found())
    assert "copy the whole link" in text
    assert "This link has not done it." in text


def test_blocked_link_is_explained_to_a_person(pages: Pages) -> None:
    """That it is abuse, whom to ask, and that the way out still works; nothing leads to where the link led."""
    text = text_of(pages.blocked())
    assert "stopped it to protect people from abuse" in text
    assert "Write to abuse@tracker.example.com" in text
    assert "You can still unsubscribe" in text
    assert "Write to abuse@ followed by this site’s domain" in text_of(Pages(None).blocked())


def test_method_not_allowed_lists_the_methods(pages: Pages) -> None:
    """RFC 9110, section 15.5.6: a 405 must carry Allow."""
    assert pages.method_not_allowed("GET, HEAD, POST").headers["allow"] == "GET, HEAD, POST"


def test_unavailable_asks_to_press_again_and_says_when(pages: Pages) -> None:
    """An opt-out that could not be stored is never called done (A1.12)."""
    response = pages.unavailable(7)
    assert response.headers["retry-after"] == "7"
    assert "We could not store your opt-out just now." in text_of(response)
    assert "please press the button again in a moment" in text_of(response)


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb as WCAG 2.2 defines it."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one_colour: str, other: str) -> float:
    low, high = sorted([luminance(one_colour), luminance(other)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(
    ("front", "back"),
    [
        ("ink", "paper"),
        ("soft", "paper"),
        ("soft", "desk"),
        ("accent", "paper"),
        ("pressed", "paper"),
        ("on-accent", "accent"),
        ("on-accent", "pressed"),
        ("accent", "stamp"),
        ("notice-ink", "notice"),
    ],
)
@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_colours_can_be_told_apart(scheme: int, front: str, back: str) -> None:
    """WCAG 2.2 AA asks 4.5 to 1 of text, by day and by night."""
    palettes = re.findall(r":root \{(.*?)\}", style_sheet("pages/page.css"), re.DOTALL)
    # Those of all pages, and then those of this kind; by day, and then by night.
    palette = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", palettes[scheme] + palettes[2 + scheme]))
    assert contrast(palette[front], palette[back]) >= 4.5


@pytest.mark.parametrize("name", UNDO_FORMS)
def test_undo_is_one_button(pages: Pages, name: str) -> None:
    """A form with one constant field, which posts to the preference page."""
    form = one(read(show(pages, name)), "form")
    assert form.attributes.get("action") == UNDO_FORMS[name]
    assert form.attributes["method"] == "post"
    assert one(form, "button").attributes["type"] == "submit"
    assert [node.attributes for node in form.css("input")] == [{"type": "hidden", "name": "action", "value": "undo"}]


def test_heading_is_the_title_read_aloud(pages: Pages) -> None:
    """What keeps a word in one piece is no part of what is read."""
    assert one(read(show(pages, "undone")), "h1").text() == "Your opt-out is undone"


def test_time_is_read_by_people_and_programs(pages: Pages) -> None:
    """To the minute, in UTC, and without a guess at the reader's zone."""
    time = one(read(show(pages, "too late")), "time")
    assert (time.text(), time.attributes["datetime"]) == ("22 November 2026, 10:00 UTC", "2026-11-22T10:00:00.000Z")
