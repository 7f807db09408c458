"""An HTML mail is rewritten to the character: links and pixel change, nothing else does."""

import re
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from tests.mail.pieces import pieces
from tests.mail.tracking import OWN, PIXEL, PIXEL_URL, track
from tests.shared_data import shared
from tracker.mail.html import rewrite_html
from tracker.mail.links import Link, Rewritten, Tracked
from tracker.mail.scanner import scan

_SHIFT_JIS = "表示ソ能力".encode("cp932").decode("latin-1")

# «value» is an href that is replaced, ¶ the place of the pixel; all else stays.
MAILS = {
    "windows line ends and an old doctype": (
        '<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN">\r\n<HTML><HEAD><META charset=utf-8/></HEAD>\r\n'
        '<body bgcolor=#ffffff>\r\n<p>Good\xa0&nbsp;day &amp; welcome</p>\r\n'
        '<a href="«https://x.example/?a=1&amp;b=2»">\r\nshop</a><br/>\r\n¶</body>\r\n</HTML>\r\n'
    ),
    "every way to write an attribute": (
        "<A HREF='«https://x.example/single»'>1</A><a href=«https://x.example/bare»>2</a>"
        "<a href=«https://x.example/»>"
        '3</a><a\tclass = x\nhref\n=\n"«\n https://x.example/space »"\n>4</a>'
        '<a/href="«https://x.example/slash»"/>5</a>'
        '<a title="1 > 0" alt=\'</a>\' href=«https://x.example/late» target=_blank>6</a>'
        '<a id=x href="«https://x.example/»"b>¶'
    ),
    "two hrefs": '<a href="«https://x.example/1»" href="https://x.example/2">x</a>¶',
    "ampersands that are no references": '<a href="«https://x.example/?a=1&copy=2&reg=3&amp;z&#x26;y&lt»">x</a>¶',
    "links that lead nowhere on the web": (
        '<a href="mailto:ada@x.example?subject=x">m</a><a href=tel:+49>t</a><a href="#">f</a><a href="">e</a>'
        "<a href>n</a><a href=>n</a><a href='cid:1'>c</a><a href=\"javascript:go()\">j</a><a name=top>a</a>"
        '<a href="page.html">r</a><a href="//x.example/">p</a><a href="«HTTPS://X.example/Upper»">u</a>¶'
    ),
    "comments": (
        '<body><!-- <a href="https://x.example/no"> </body> --><a href="«https://x.example/1»">1</a><!-- --!>'
        '<a href="«https://x.example/2»">2</a><!--><a href="«https://x.example/3»">3</a><!--->'
        '<a href=«https://x.example/4»><!--<!--><a href=«https://x.example/5»>'
        '<!-- > -> -- > <a href="https://x.example/no"> -->¶</body>'
    ),
    "outlook and the others": (
        '<body><!--[if mso]><v:roundrect xmlns:v="urn:schemas-microsoft-com:vml" href="«https://x.example/vml»">'
        "<center>Go</center></v:roundrect><![endif]--><!--[if !mso]><!--><a href='«https://x.example/web»'>Go</a>"
        '<!--<![endif]--><!--[if (gte mso 9)|(IE)]><table><tr><td><a href="«https://x.example/table»"><![endif]-->'
        "<!--[if gte mso 9]><xml><o:AllowPNG/></xml></body><![endif]-->¶</body>"
    ),
    "conditions shown to all": (
        '<![if !mso]><a href="«https://x.example/»">Go</a><![endif]><o:p>&nbsp;</o:p>'
        '<?xml:namespace prefix = o ns = "urn:schemas-microsoft-com:office:office" />¶'
    ),
    "text that looks like markup": (
        '<title><a href="https://x.example/no"></body></title><style>a > b{}/* <a href=https://x.example/no>'
        "</body> */</style><script>s = \"<a href='https://x.example/no'></body>\"</script>"
        "<textarea><a href=https://x.example/no></textarea><xmp><a href=https://x.example/no></xmp>"
        "<noscript><a href=«https://x.example/yes»></noscript>¶</body>"
    ),
    "script in a script": (
        "<script><!-- <script></script><a href=https://x.example/no></body> --></script>"
        "<a href=«https://x.example/»>¶</body>"
    ),
    "tags in the wrong order": (
        '</p></div><td><a href="«https://x.example/1»"><b><a href="«https://x.example/2»"></b><i><table><p>'
        "<a href=«https://x.example/3»>x</table><font color=red>&nbsp&copy&none; 1 < 2 << 3 <3 "
        "< a href='https://x.example/no'>"
        '<div <span><a href="«https://x.example/4»" <b>w</a>¶'
    ),
    "several bodies": "<body>a</body ><body class=2>b<!-- </body> -->¶</BODY\n>\n</HTML>\n after",
    "link behind the body": '¶</body><a href="«https://x.example/late»">x</a>',
    "nothing but text": "Hello, world¶",
    "empty mail": "¶",
    "merge tags": (
        '<a href="{{unsubscribe_url}}">1</a><a href="*|UNSUB|*">2</a>'
        '<a href="https://x.example/?id={{ user.id }}">3</a>'
        '{% if a < b %}<a href="«https://x.example/4»">4</a>{% endif %}'
        '<a href="https://x.example/%%ID%%">5</a><a href="[[LINK]]">6</a><a href="&lt;%= url %&gt;">7</a>'
        '<a {{ attrs }} href="«https://x.example/8»">8</a>'
        '<p>${x} <%= y %> #if($a<3)</p><a href="%recipient.link%">9</a>¶'
    ),
    "bytes of latin-1": '<p>caf\xe9 \x80\x85 <a href="«https://x.example/caf\xe9»">\xe9t\xe9</a>¶</body>',
    "bytes of shift_jis": f"<p>{_SHIFT_JIS}<a href='«https://x.example/»'>{_SHIFT_JIS}</a>¶</body>",
    "byte order mark and astral characters": '\ufeff<p>\U0001f600 <a href="«https://x.example/✓»">x</a>¶',
    "control characters and form feeds": 'a\x00b\rc\fd\v<a\fhref="«https://x.example/»">x</a\r>\r¶',
    "image map": (
        '<map><area shape=rect href="«https://x.example/1»"/><AREA HREF=«https://x.example/2»></map>'
        '<link href="https://x.example/no"><base href="https://x.example/no"><img src="https://x.example/no">¶'
    ),
    "svg": (
        '<svg><clipPath id=a /><a xlink:href="https://x.example/no"><title><b></title>'
        "<style><a href=https://x.example/1></style><a href=«https://x.example/2»>"
        "</style></svg><svg/><style><a href=https://x.example/no></style>¶"
    ),
    "raw text of a drawing": (
        '<svg><style><a href="https://x.example/no"></style><a href="«https://x.example/1»"></svg>'
        '<math><xmp><a href="https://x.example/no">¶'
    ),
    "character data without an end": 'x¶<math><a href="«https://x.example/1»"><![CDATA[<a href="https://x.example/no">',
    "character data": '<p><![CDATA[ <a href="https://x.example/no" ]]> <a href="«https://x.example/»">x</a>¶',
    "base": (
        '<base href="https://b.example/c/"><a href="https:d">1</a><a href=HTTPS:/d>2</a><a href="d">3</a>'
        '<a href="«https:\\\\x.example»">4</a><a href=«http://x.example»>5</a>¶'
    ),
    "base without a URL": '<base target=_blank><!-- <base href="/"> --><a href="«https:x.example»">1</a>¶',
    "nul is a character": '<a href="\0https://x.example/no">1</a><a href="«https://x.example/\0»">2</a>¶',
    "half an end tag": '<a href="«https://x.example/»">x</a>¶</',
    "tag without an end": '<a href="«https://x.example/»">x</a>¶<a href="https://x.example/no',
    "attribute without an end": "<a href='«https://x.example/»'>x</a>¶<a href='https://x.example/no> </body>",
    "comment without an end": '<a href="«https://x.example/»">x</a>¶<!-- <a href="https://x.example/no"></body>',
    "style without an end": '<a href="«https://x.example/»">x</a>¶<style> <a href="https://x.example/no"></body>',
    "own links and links switched off": (
        '<a href="https://t.example/u/x">1</a><a href="HTTPS://T.EXAMPLE/u/x">2</a>'
        '<a data-tracker="OFF" href="https://x.example/">3</a>'
        '<a href="«https://x.example/»" data-tracker="on">4</a>¶'
    ),
    "spelling of attributes": (
        "<TABLE BORDER=0  cellPadding='0' noWrap><td STYLE='font:\"Segoe UI\"'><a  CLASS=b  href=\"«https://x.example/»\""
        "  style='a:\"b\"' data-A=1>x</a ></TABLE>¶"
    ),
    "amp": '<html ⚡4email data-css-strict><body><amp-img src=x></amp-img><a href="«https://x.example/»">x</a>¶</body>',
}  # fmt: skip

_HREF = re.compile(rf"{re.escape(OWN)}c/[0-9]+\.")
_PIECES = st.sampled_from(
    pieces(
        '<a href="https://x.example/?a&amp;b">·<a href=\'https://x.example/"\'>·'
        '<A HREF=https://x.example/ >·</a>·<area href="mailto:ada@x.example">·<a href=#>·<a href>·'
        "<a href='{{x}}'>·<a data-tracker=off href=http://x.example>·<!--·-->·<!--[if mso]>·"
        '<![endif]-->·<v:rect href="https://x.example/">·<style>·</style>·<script>·</script>·</body>·'
        "<svg>·</svg>·<title>·</title>·<b title='·\"·'·<·>·\r\n·é\0·<a href=·https://x.example/"
    )
)


def rewrite(html: str, *, pixel: str | None = PIXEL_URL, first: int = 0) -> Rewritten:
    return rewrite_html(html, track=track, own=OWN, pixel=pixel, first=first)


def undo(rewritten: Rewritten, html: str) -> str:
    """The mail as it was, from the rewritten one and the raw values of the tracked links."""
    found = zip(scan(html).hrefs, rewritten.links, strict=True)
    raw = iter([html[href.start : href.end] for href, link in found if link.tracked])
    restored = _HREF.sub(lambda _: next(raw), rewritten.content.replace(PIXEL, "", 1))
    assert next(raw, None) is None
    return restored


def expected(marked: str, hrefs: Iterator[str]) -> str:
    return re.sub("«[^»]*»", lambda _: next(hrefs), marked).replace("¶", PIXEL)


@pytest.mark.parametrize("name", MAILS)
def test_only_links_and_pixel_change(name: str) -> None:
    """Whatever a mail holds: the marked places change, and not one character more."""
    rewritten = rewrite(re.sub("[«»¶]", "", MAILS[name]))
    hrefs = (f"{OWN}c/{link.number}." for link in rewritten.links if link.tracked)
    assert rewritten.content == expected(MAILS[name], hrefs)
    assert next(hrefs, None) is None


@settings(max_examples=500, deadline=None)
@given(st.lists(_PIECES, max_size=14).map("".join), st.sampled_from([PIXEL_URL, None]))
def test_without_its_edits_a_mail_is_as_it_was(html: str, pixel: str | None) -> None:
    """Taking the edits back gives every character of the original, in any mail."""
    rewritten = rewrite(html, pixel=pixel)
    assert undo(rewritten, html) == html
    assert rewritten.content.count(PIXEL) == (pixel is not None)


def test_published_mails_stay_as_they_were() -> None:
    """All bytes of real templates but the links' and the pixel's, and each link with a verdict."""
    mails = sorted(shared("html").rglob("*.html"))
    assert mails
    for path in mails:
        html = path.read_bytes().decode("latin-1")
        rewritten = rewrite(html)
        assert undo(rewritten, html) == html, path.name
        assert rewritten.content.count(PIXEL) == 1, path.name
        assert all(link.tracked or link.why for link in rewritten.links), path.name


def test_links_are_numbered_in_order_tracked_or_not() -> None:
    """A report can be laid beside the mail."""
    html = (
        '<a href="https://x.example/a b">1</a><a>2</a><a href="#x">3</a><area href={{cta}}><a href="http://x.example">'
    )
    assert rewrite(html, first=5).links == (
        Link(number=5, url="https://x.example/a%20b", tracked=True, why=None),
        Link(number=6, url="#x", tracked=False, why="fragment"),
        Link(number=7, url="{{cta}}", tracked=False, why="merge tag"),
        Link(number=8, url="http://x.example/", tracked=True, why=None),
    )


def test_last_number_is_that_of_the_token() -> None:
    """Link 65,535 is tracked, the next one is left and reported."""
    rewritten = rewrite("<a href=http://x.example/><a href=http://x.example/>", first=65_535, pixel=None)
    assert rewritten.content == "<a href=https://t.example/c/65535.><a href=http://x.example/>"
    assert [link.why for link in rewritten.links] == [None, "too many links"]


def test_what_a_base_makes_relative_is_left() -> None:
    """Beside a base of the same scheme ``https:d`` is a page there, and no host."""
    html = '<a href="HTTPS:\n/d"></a><a href="https:\\/x.example"></a><base href="https://b.example/">'
    assert rewrite(html).links == (
        Link(number=0, url="HTTPS:\n/d", tracked=False, why="relative to the base"),
        Link(number=1, url="https://x.example/", tracked=True, why=None),
    )
    assert rewrite(f"<!--[if mso]>{html}<![endif]-->").links[0].why == "relative to the base"


def test_link_that_cannot_be_signed_stays_and_the_mail_is_made() -> None:
    """One bad link spoils nothing."""
    rewritten = rewrite('<a href="www.x.example">1</a><a href="https://x.example/">2</a>', pixel=None)
    assert rewritten.content == '<a href="www.x.example">1</a><a href="https://t.example/c/1.">2</a>'
    assert [link.why for link in rewritten.links] == ["not a complete URL: begin it with https://", None]


def test_signer_gets_the_url_that_a_browser_would_open() -> None:
    """References are decoded as in an attribute, so a query keeps its ``&copy=``."""
    seen: list[tuple[int, str]] = []

    def note(number: int, url: str) -> Tracked:
        seen.append((number, url))
        return track(number, url)

    rewrite_html('<a href=" https://x.example/?a=1&copy=2&amp;b&#61;3 ">', track=note, own=OWN, pixel=None, first=3)
    assert seen == [(3, " https://x.example/?a=1&copy=2&b=3 ")]


@settings(deadline=None)
@given(
    st.text(st.characters(min_codepoint=0x20, exclude_categories=["Cs"])),
    st.sampled_from(["'old'", '"old"', "old"]),
)
def test_new_href_is_what_a_browser_reads(new: str, old: str) -> None:
    """Any href is escaped for the quotes that stand there, and gets some if it needs them."""
    html = f"<a href={old} id=after>"
    rewritten = rewrite_html(
        html,
        track=lambda _number, _url: Tracked(destination="https://x.example/", href=new),
        own=OWN,
        pixel=None,
    )
    anchor = LexborHTMLParser(rewritten.content).css_first("a")
    assert anchor is not None
    assert (anchor.attributes["href"] or "", anchor.attributes["id"]) == (new, "after")


def test_quotes_are_added_only_where_they_are_needed() -> None:
    """A bare value stays bare."""

    def sign(href: str) -> str:
        answer = Tracked(destination="https://x.example/", href=href)
        return rewrite_html("<a href=http://x.example/>", track=lambda *_: answer, own=OWN, pixel=None).content

    assert sign("https://t.example/c/x?a&b") == "<a href=https://t.example/c/x?a&amp;b>"
    assert sign("https://t.example/c/x=") == '<a href="https://t.example/c/x=">'


def test_pixel_url_is_escaped() -> None:
    """A URL with a query is written as HTML asks."""
    content = rewrite_html("", track=track, own=OWN, pixel='https://t.example/o?a&b="').content
    assert content == '<img src="https://t.example/o?a&amp;b=&quot;" width="1" height="1" alt="">'


def test_second_pixel_is_added_beside_a_first() -> None:
    """A mail that already has somebody's pixel gets ours too."""
    html = f"<p>x{PIXEL}</p></body>"
    assert rewrite(html).content == f"<p>x{PIXEL}</p>{PIXEL}</body>"
