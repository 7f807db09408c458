"""Mails that no person would write, made of pieces of markup, characters and URLs in every spelling."""

from hypothesis import strategies as st

from tests.mail.pieces import pieces

_SCHEMES = pieces(
    "https:·http:·HTTPS:·hTtP:·ht\ntp:·https\t:·javascript:·data:text/html,·mailto:·ftp:·cid:·x-y.z+1:··http"
)
_SLASHES = pieces("//·//·//·/·\\\\·\\/···///·/\t/·////")
_AUTHORITIES = pieces(
    "x.example·X.EXAMPLE·bücher.example·xn--bcher-kva.example·u@x.example·u:p@x.example·@x.example·x.example:80·"
    "x.example:8443·x.example:·x.example.·127.1·0x7f.1·[::1]·x。example·ｅx.example·x\u00ad.example·x%2eexample·"
    "x_y.example·x..y·faß.example·x.example:0443·ابج.example·-x-.example·x\u200d.example··t.example·T.EXAMPLE·"
    "a b·a<b·1.2.3"
)
_RESTS = pieces(
    "/·/a b·?a=1&b=2·?a=1&copy=2&amp;b&lt·#top·/a/../b·\\a\\b·/%zz·/é?é#é·?q='\"`·/|^{}[]·?a\nb\tc\r·/\0·"
    "/&#x26;·/&amp;amp;·"
    "/;a=b·?&notin;&notit;&not·#:~:text=a·/{{id}}·/*|ID|*·/\x0b·/\u2028·/\ufeff·/😀·/%00·&#·&·/%E9·?%FF·#a#b·"
    "/&#13;·/&bsol;x···///"
)
_REFERENCES = st.sampled_from(("&#{};", "&#x{:x};", "&#X{:X};", "&#{} ", "&#x{:x}", "&#000000000{};"))
_NAMED = {
    ":": "&colon;",
    "/": "&sol;",
    "\\": "&bsol;",
    "\t": "&Tab;",
    "\n": "&NewLine;",
    "&": "&amp",
    "?": "&quest;",
    "#": "&num;",
    ".": "&period;",
    "@": "&commat;",
    "=": "&equals;",
    '"': "&quot",
    "'": "&apos;",
}


@st.composite
def _written(draw: st.DrawFn, url: str) -> str:
    """The URL as it may stand in an attribute: a character of it or two as references."""
    for _ in range(draw(st.integers(0, 2))):
        if not url:
            break
        place = draw(st.integers(0, len(url) - 1))
        character = url[place]
        if character in _NAMED and draw(st.booleans()):
            reference = _NAMED[character]
        else:
            reference = draw(_REFERENCES).format(ord(character))
        url = url[:place] + reference + url[place + 1 :]
    return url


_AROUND = st.sampled_from(("", "", "", " ", "\n", "\t\r\n", "\x01", "\x1f", "\0", "\xa0", "&#32;", "&#0;", "&#128;"))
_URLS = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(_SCHEMES),
    st.sampled_from(_SLASHES),
    st.sampled_from(_AUTHORITIES),
    st.sampled_from(_RESTS),
).flatmap(_written)
VALUES = st.builds("{}{}{}".format, _AROUND, _URLS, _AROUND)

_TAGS = pieces("a·a·a·A·area·AREA·base·link·v:rect·form·svg·img·x·a\0·ab·ſ·a/")
_NAMES = pieces("href·HREF·hReF·href·href\0·xlink:href·src·title·data-tracker·action·srcdoc·hrefſ·=href·style")
_QUOTES = st.sampled_from(('"', '"', "'", "", "", "`"))
_BETWEEN = st.sampled_from((" ", " ", "\n", "\t", "\f", "/", "", "\r\n", " / ", "\0", "\x0b"))
_EQUALS = st.sampled_from(("=", "=", "=", " = ", "\n=\n", "=\t", "", "=="))
_ENDS = st.sampled_from((">", ">", ">", " >", "/>", " />", "", "\n>", "<", '">', "'>"))


@st.composite
def _attributes(draw: st.DrawFn) -> str:
    value = draw(VALUES | st.sampled_from(pieces("off·OFF·on···#x·rect·<a href=http://x.example/1>")))
    quote = draw(_QUOTES)
    return f"{draw(_BETWEEN)}{draw(st.sampled_from(_NAMES))}{draw(_EQUALS)}{quote}{value}{quote}"


_ODD_TAGS = st.builds(
    "<{}{}{}".format,
    st.sampled_from(_TAGS),
    st.lists(_attributes(), min_size=1, max_size=3).map("".join),
    _ENDS,
)
_PLAIN_LINKS = st.builds(
    "<{0} href={2}{1}{2}>".format,
    st.sampled_from(("a", "a", "A", "area", "v:rect")),
    VALUES,
    st.sampled_from(('"', '"', "'", "")),
)

_MARKUP = pieces(
    "<!--·-->·--!>·<!-->·<!--->·<!--[if mso]>·<!--[if !mso]><!-->·<!--<![endif]-->·<![endif]-->·<![if x]>·<!·<?·"
    "</·</ x>·</>·"
    "<![CDATA[·]]>·<!DOCTYPE html>·<p>·</p>·<b>·</b>·<i>·</i>·<br/>·<div <span>·<i x='·<b y=\"·<script>·"
    "</script>·<script·"
    "<SCRIPT/>·<style>·</style>·<title>·</TITLE\n>·<textarea>·</textarea>·<xmp>·</xmp>·<noscript>·</noscript>·"
    "<iframe>·"
    "</iframe>·<noembed>·</noembed>·<noframes>·</noframes>·<template>·</template>·<table>·<tr>·<td>·</td>·</table>·"
    "<select>·<option>·</select>·<svg>·</svg>·<svg/>·<math>·</math>·<mi>·</mi>·<annotation-xml encoding=text/html>·"
    "<foreignObject>·</foreignObject>·<desc>·</desc>·<g>·</g>·<font color=x>·<font>·<head>·</head>·<body>·"
    "</body>·<body x=1>·"
    "</html>·<html a=b>·<frameset>·</frameset>·<frame>·<plaintext>·<form>·</form>·<button>·</button>·<object>·"
    "</object>·<map>·"
    "<base href=https://b.example/c/>·<base target=_blank>·<area>·</a>·</A >·<a>·<a name=x>·<nobr>·<li>·"
    "<listing>·<pre>·\n·"
    "<input type=hidden>·<ruby><rt>·<caption>·<col>·<!doctype x>·text·<·>·\"·'·=·/· ·\n·\r·\f·\0·é·&amp;·"
    "&lt;a href=x>·&·\ud800"
    "·<mglyph>·<malignmark>·<iframe srcdoc=\"<a href='https://x.example/in'>\">·<image>·<center>·<h1>·<embed>·"
    "<marquee>·<o:p>·"
    "<v:rect href=https://x.example/v>·</v:rect>·<a\0b>·<search>·<dialog>·<option><a href=https://x.example/o>"
)
PIECES = _PLAIN_LINKS | _ODD_TAGS | st.sampled_from(_MARKUP)
MAILS = st.lists(PIECES, min_size=1, max_size=12).map("".join)
"""Whole mails; some hold NUL, control characters and halves of surrogate pairs."""

_HOST_PIECES = pieces(
    "a·b·x·1·-·_·&·!·$·'·(·~·%41·%2e·%C3%BC·ü·ß·ſ·İ·ı·ا·ب·א·1·١·\u200d·\u200c·\u00ad·。·．·＃·／·\u0301·क·\u094d·ー·"
    "Ω·ς·😀·☃·"
    "ⅸ·½·㎏·K·xn--·xn--bcher-kva·xn--mgbcm·XN--·..·.·.·.·+·,·;·=·`·{·}·\u202e·\ufe0f·\u3164·𝟏·℡·豆·.example·.&"
)
_PATH_PIECES = pieces(
    "/·/a|b·/^·/[x]·/`·/é·/%·/%zz·/a\\b·?a'b·?a\"<>·?|^`{}·#a b`<>·/\x7f·/..·/.%2e/x·//x·?é·#é·/a\tb·?\ufffe·"
    "#\x01·/@·"
    ":80·:443/·:0080/·:65535/·:99999/·?[]·/~!$&()*+,;="
)
WEB_ADDRESSES = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from(pieces("https:·http:·HTTPS:· https:·ht\ttp:")),
    st.sampled_from(pieces("//·//·/·\\\\··///·//@·//:@")),
    st.lists(st.sampled_from(_HOST_PIECES), min_size=1, max_size=6).map("".join),
    st.sampled_from(pieces("·.example·.example.")),
    st.lists(st.sampled_from(_PATH_PIECES), max_size=3).map("".join),
)
"""URLs with a host of every script and none."""
