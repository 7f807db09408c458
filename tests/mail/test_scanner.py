"""The scanner sees the links that a browser sees."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from tests.mail.pieces import pieces
from tests.shared_data import shared
from tracker.mail.charrefs import decode_attribute
from tracker.mail.scanner import scan

_LINKS = pieces(
    "<a href='/1'>·<A HREF=\"/2\" >·<a href=/3/>·<area href=/4 />·<a/href=\"/5\"/x>·<a\nhref\n=\n'/6'\n>·"
    "<a href=/7 href=/8>·<a title='a > b' href=/9>·<a href>·<a href=>·<a name=x>·<a =href=/10>·"
    '<a href="/11"class=x>·<a href="?a=1&copy=2&amp;b&#x26;c&lt">·<a {{ x }} href=/12>·'
    '<a href="/13" "·<a href="/14·<a\vhref=/15>·<abbr href=/16>·<ſ href=/17>·</a>'
)
_MARKUP = pieces(
    "<!--·-->·--!>·<!-->·<!--->·<!--<!-->·<!-- -- >·--·!>·->·<!·<?·</·</ x>·</>·<![CDATA[·]]>·"
    "<!DOCTYPE html>·<p>·</p>·<b>·</b>·<br/>·<div <span>·<i x='·<b y=\"·<script>·</script>·"
    "</script x>·<script ·<SCRIPT/>·</ſcript>·<style>·</style>·<title>·</TITLE\n>·<textarea>·"
    "</textarea>·<xmp>·</xmp>·<noscript>·</noscript>·<iframe>·</iframe>·<noembed>·</noembed>·"
    "<noframes>·</noframes>·<table>·<td>·</table>·<body>·</body>·</html>·text·<·>·\"·'·=·/· ·\n·\f·"
    "é·&amp;"
)
_DOCUMENTS = st.lists(st.sampled_from(_LINKS) | st.sampled_from(_MARKUP), max_size=14).map("".join)
_CONDITIONAL = re.compile(r"<!--\[if [^\]]*\]>.*?-->", re.DOTALL)


def hrefs(html: str) -> list[str]:
    """The decoded values that the scanner sees, in order."""
    return [decode_attribute(html[href.start : href.end]) for href in scan(html).hrefs]


def hrefs_of_lexbor(html: str) -> set[str]:
    """The same by a browser's parser: a tree has some links twice."""
    return {link.attributes["href"] or "" for link in LexborHTMLParser(html).css("a[href], area[href]")}


@settings(max_examples=1_000, deadline=None)
@given(_DOCUMENTS)
def test_links_are_those_that_lexbor_sees(html: str) -> None:
    """Whatever pieces of markup follow each other, broken or not."""
    assert set(hrefs(html)) == hrefs_of_lexbor(html)


@settings(deadline=None)
@given(st.text(alphabet="<>/!-='\"a hrefscipt\n[]&;", max_size=60))
def test_any_characters_are_scanned_as_lexbor_does(html: str) -> None:
    """Soup made of single characters reaches states that whole tags do not."""
    assert set(hrefs(html)) == hrefs_of_lexbor(html)


@pytest.mark.parametrize(
    ("html", "seen"),
    [
        ("<svg><style><a href=/1></style></svg>", ["/1"]),
        ("<svg><title><style><a href=/1></style></title></svg><a href=/2>", ["/2"]),
        ("<svg><style></svg><a href=/1>", ["/1"]),
        ("<svg/><style><a href=/1></style><a href=/2>", ["/2"]),
        ("<svg x=y/><style><a href=/1></style>", ["/1"]),
        ("<svg><g/></svg><style><a href=/1></style>", []),
        ("<svg><p><style><a href=/1></style>", []),
        ("<svg></p><style><a href=/1></style>", []),
        ("<svg></g><style><a href=/1></style>", ["/1"]),
        ("<svg><desc></svg><title><a href=/1></title>", []),
        ("<svg><desc></svg></desc><style><a href=/1></style>", []),
        ("<svg></svg></svg><style><a href=/1></style><a href=/2>", ["/2"]),
        ("<svg><svg></svg><style><a href=/1></style></svg><xmp><a href=/2></xmp>", ["/1"]),
        ("<math><mi><style><a href=/1></style></mi><style><a href=/2></style>", ["/2"]),
        ("<math><desc><style><a href=/1></style>", ["/1"]),
        ("<svg><![CDATA[<a href=/1>]]><a href=/2></svg>", ["/2"]),
        ("<p><![CDATA[ > <a href=/1> ]]>", ["/1"]),
    ],
)
def test_words_of_html_mean_nothing_in_foreign_content(html: str, seen: list[str]) -> None:
    """In SVG and MathML a ``style`` is an element like others, until a tag of HTML breaks out."""
    assert hrefs(html) == seen
    assert set(seen) == hrefs_of_lexbor(html)


@pytest.mark.parametrize("name", pieces("script·style·title·textarea·xmp·iframe·noembed·noframes"))
def test_raw_text_ends_with_its_own_end_tag(name: str) -> None:
    """In any case, with white space or attributes."""
    for end in (f"</{name}>", f"</{name.upper()}\n>", f"</{name} x='>'>", f"</{name}/>"):
        html = f"<{name}></{name}s></ {name}><a href=/1>{end}<a href=/2>"
        assert hrefs(html) == ["/2"]
        assert hrefs_of_lexbor(html) == {"/2"}


@pytest.mark.parametrize("name", ["script", "style", "noframes"])
def test_letters_that_only_fold_to_ascii_end_nothing(name: str) -> None:
    """An ``ſ`` is no ``s``, though Python's patterns take one for the other."""
    html = f"<{name}></{name.replace('s', 'ſ')}><a href=/1></{name}><a href=/2>"
    assert hrefs(html) == ["/2"]
    assert hrefs_of_lexbor(html) == {"/2"}


@pytest.mark.parametrize(
    ("html", "seen"),
    [
        ("<script><!--<script></script><a href=/1></script><a href=/2>", ["/2"]),
        ("<script><!--<script></script><a href=/1>", []),
        ("<script><!--<script></script><a href=/1>--></script><a href=/2>", ["/2"]),
        ("<script><!--<scripts></script><a href=/1>", ["/1"]),
        ("<script><!--><script></script><a href=/1>", ["/1"]),
        ("<script><!--<script>--></script><a href=/1>", ["/1"]),
        ("<script><!--<script></script></script><a href=/1>", ["/1"]),
        ("<script><script></script><a href=/1>", ["/1"]),
        ("<SCRIPT><!--<Script/</SCRIPT\n</script ><a href=/1>", ["/1"]),
    ],
)
def test_script_hidden_in_a_script_does_not_end_it(html: str, seen: list[str]) -> None:
    """The double-escaped state: after ``<!--<script>`` the first end tag is that of the inner script."""
    assert hrefs(html) == seen
    assert set(seen) == hrefs_of_lexbor(html)


@pytest.mark.parametrize(
    ("html", "seen"),
    [
        ('<!--[if mso]><a href="/1">x</a><![endif]-->', ["/1"]),
        ("<!--[if gte mso 9]><v:roundrect fillcolor=red HREF='/1'/><![endif]--><a href=/2>", ["/1", "/2"]),
        ("<!--[IF (mso)|(IE)]><V:rect href=/1><o:p href=/2><![endif]-->", ["/1"]),
        ("<!--[if !mso]><!--><a href=/1></a><!--<![endif]-->", ["/1"]),
        ("<![if !mso]><a href=/1></a><![endif]>", ["/1"]),
        ("<!--[if mso]><style><a href=/1></style><a href=/2><![endif]-->", ["/2"]),
        ("<!--[if mso]><a href='/1--><a href=/2>", ["/2"]),
        ("<!--[if mso]><!-- <a href=/1> <![endif]--><a href=/2>", ["/2"]),
        ("<!--[if --><a href=/1>]><a href=/2>", ["/1", "/2"]),
        ("<!-- [if mso]><a href=/1><![endif]-->", []),
        ("<!--[iffy]><a href=/1><![endif]-->", []),
        ("<!--[if mso]><a href=/1>", []),
        ("<v:roundrect href=/1></v:roundrect>", []),
        ("<script><!--[if mso]><a href=/1><![endif]--></script>", []),
    ],
)
def test_conditional_comments_hold_the_links_of_outlook(html: str, seen: list[str]) -> None:
    """Outlook on the desktop shows what they hold, VML buttons included; other comments are no links."""
    assert hrefs(html) == seen


@pytest.mark.parametrize(
    ("value", "off"),
    [
        ('"off"', True),
        ("'OFF'", True),
        ("Off", True),
        ('" off "', True),
        ('"on"', False),
        ('""', False),
        ('"offer"', False),
    ],
)
def test_the_sender_can_switch_tracking_off(value: str, off: bool) -> None:
    """``data-tracker="off"`` before or after the ``href``, in any case."""
    for html in (f"<a href=/1 DATA-Tracker={value}>", f"<a data-tracker={value} href=/1>"):
        assert [href.off for href in scan(html).hrefs] == [off]


def test_first_of_two_attributes_counts() -> None:
    """As in browsers, for both attributes."""
    html = "<a href=/1 href=/2 data-tracker=on data-tracker=off>"
    assert hrefs(html) == ["/1"]
    assert not scan(html).hrefs[0].off


@pytest.mark.parametrize(
    "marked",
    [
        "<body>a|</body></html>",
        "<body>a</body>b|</BODY\n>c",
        "a|</body class=x>",
        "a|",
        "|",
        "|</body><!-- </body> --><script></body></script><style></body></style><title></body></title>",
        "a|<!-- </body>",
        "a|<b title='</body>",
        "a|<style></body>",
        "a|<script><!--<script></body></script>",
        "a|<plaintext></body>",
        "a|<a href=x",
        "a|<!doctype",
        "a|</x",
        "<p>|</body><!-- unfinished",
        "a <!--[if mso]></body><![endif]-->|",
        "a <!--[if mso]><!-- <![endif]--> b|",
        "</bodyx></ body>|</body",
        "a <|",
        "a |</",
        "a |<math><mi>b<svg><![CDATA[<b>",
        "a <math></math>|<![CDATA[<b",
        "a </>|",
    ],
)
def test_content_ends_where_something_can_still_be_seen(marked: str) -> None:
    """Before the last end tag of the body, else before what swallows the rest, else at the end."""
    html = marked.replace("|", "", 1)
    assert scan(html).end == marked.index("|")


@pytest.mark.parametrize(
    "opening",
    pieces(
        "<·</·<a ·<a href=\"·<b x='·<!--·<![CDATA[·<!--[if ·<!--[if -->·<title>·<script><!--<script>·<p a·<a/·"
        "<style>·<b <b·<?·&·&#·<a href=x ·<plaintext>"
    ),
)
def test_hostile_openings_end_nowhere(opening: str) -> None:
    """A hundred thousand constructs without an end hold no link (and take a moment, not an hour)."""
    assert scan(opening * 100_000).hrefs == ()


@pytest.mark.parametrize("before", ["<svg>" * 50_000 + "</desc>" * 50_000, "<svg><desc>" * 50_000 + "</svg>" * 50_000])
def test_deep_foreign_content_is_followed(before: str) -> None:
    """End tags that match nothing cost nothing."""
    assert hrefs(before + "<a href=/1>") == ["/1"]


def test_attribute_of_five_million_characters_is_one_link() -> None:
    """Closed, it is a link; unclosed, none."""
    value = "x>" * 2_500_000
    assert [href.end - href.start for href in scan(f'<a href="{value}">').hrefs] == [5_000_000]
    assert scan(f'<a href="{value}').hrefs == ()


def test_links_of_published_mails_are_those_that_lexbor_sees() -> None:
    """Templates of Cerberus, Postmark and konsav, without their conditional comments."""
    mails = sorted(shared("html").rglob("*.html"))
    assert mails
    for path in mails:
        html = _CONDITIONAL.sub("", path.read_bytes().decode("latin-1"))
        assert set(hrefs(html)) == hrefs_of_lexbor(html), path.name
