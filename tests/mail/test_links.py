"""Which links are tracked, and what is said of the others."""

import pytest

from tests.mail.pieces import pieces
from tests.mail.tracking import OWN, track
from tracker.mail.links import Judge, Link, Tracked, reason_to_leave


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "empty"),
        (" \n\x00", "empty"),
        ("#", "fragment"),
        (" #top", "fragment"),
        ("mailto:ada@example.com?subject=x", "mailto link"),
        (" MailTo:ada@example.com", "mailto link"),
        ("tel:+49123", "tel link"),
        ("sms:+49123", "sms link"),
        ("cid:part1@example.com", "cid link"),
        ("javascript:void(0)", "not a web link"),
        ("\x01java\nscript:alert(1)", "not a web link"),
        ("data:text/html,x", "not a web link"),
        ("intent://x.example/", "not a web link"),
        ("x.example:8080/", "not a web link"),
        ("https://t.example/", "own link"),
        (" https://t.example/u/token", "own link"),
        ("https://t.example.evil.example/", None),
        ("https://x.example/?next=https://t.example/", None),
        ("https://x.example/", None),
        ("HTTP://x.example/", None),
        (" h\nttps://x.example/", None),
    ],
)
def test_link_that_leads_to_no_web_page_is_left(url: str, why: str | None) -> None:
    """The reason is one a sender understands."""
    assert reason_to_leave(0, url, OWN) == why


@pytest.mark.parametrize(
    "tag",
    pieces(
        "{{cta}}·{{ user.id | default: '{' }}·{{{raw}}}·{{\n a }}·{% url 'x' %}·<%= id %>·*|FNAME|*·"
        "*|IF:A|B|*·%%emailaddr%%·%%=RedirectTo(@url)=%%·%%$x%%·"
        '%%1st%%·[[UNSUB_LINK]]·[[$email]]·[[1]]·[[ data:name:"x" ]]·'
        "%recipient%·%recipient.first_name%·%unsubscribe_url%·%tag_unsubscribe_url%·"
        "%mailing_list_unsubscribe_url%"
    ),
)
def test_link_with_a_merge_tag_is_left(tag: str) -> None:
    """The mailer fills it in after us: signed, it could not."""
    for url in (
        tag,
        f"https://x.example/{tag}",
        f"https://x.example/?a={tag}&b=1",
        f"#{tag}",
        f"mailto:{tag}",
    ):
        assert reason_to_leave(0, url, OWN) == "merge tag"


@pytest.mark.parametrize(
    "rest",
    pieces(
        "?a=100%25%25·?a=100%%·?a=%20%20·?a=[1,2]·?a=[[1,2]·?a[b[c]]=1·?q={a{b}}·"
        "?a=*|b·?a=}}{{·?a=|**|·?a=%>·?recipient=%41%·?a=%recipients%20·?a={{b·?a=x}}·?a={%22b%22:1}"
    ),
)
def test_url_that_only_looks_like_a_merge_tag_is_tracked(rest: str) -> None:
    """An opening part without its closing part is none, nor are brackets that hold no name."""
    assert reason_to_leave(0, f"https://x.example/{rest}", OWN) is None
    assert reason_to_leave(0, f"https://[2001:db8::1]/{rest}", OWN) is None


def test_number_that_no_token_holds_is_left() -> None:
    """A link's number is two bytes of its token."""
    assert reason_to_leave(65_535, "https://x.example/", OWN) is None
    assert reason_to_leave(65_536, "https://x.example/", OWN) == "too many links"


def test_tracked_link_is_reported_with_its_destination() -> None:
    """What is reported is where the click leads: the URL as a browser writes it."""
    link, href = Judge(track=track, own=OWN).judge(7, " HTTPS://X.example:443/a b")
    assert link == Link(number=7, url="https://x.example/a%20b", tracked=True, why=None)
    assert href == "https://t.example/c/7."


def test_link_that_cannot_be_signed_is_left_with_the_reason() -> None:
    """Any ValueError of the signer is a reason; the mail is still made."""
    link, href = Judge(track=track, own=OWN).judge(0, "https://ada:secret@x.example/")
    assert link == Link(
        number=0,
        url="https://ada:secret@x.example/",
        tracked=False,
        why="a URL with a user name or password is not tracked",
    )
    assert href is None


@pytest.mark.parametrize(
    "url", ["HTTPS://T.Example/c/x", "https://t.example", "https:t.example/", "https://t.example:443/u/x"]
)
def test_own_link_is_known_in_any_spelling(url: str) -> None:
    """A link of ours is not wrapped into another, however it is written."""
    link, href = Judge(track=track, own=OWN).judge(0, url)
    assert (link.url, link.why, href) == (url, "own link", None)


def test_nothing_is_signed_for_a_link_that_is_left() -> None:
    """The signer sees only links that may be tracked."""

    def refuse(number: int, url: str) -> Tracked:
        raise AssertionError(url)

    judge = Judge(track=refuse, own=OWN)
    assert judge.judge(0, "https://x.example/", off=True)[0].why == "data-tracker is off"
    assert judge.judge(0, "mailto:ada@example.com")[0].why == "mailto link"
