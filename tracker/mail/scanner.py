"""Finds the links of an HTML mail, and where its content ends, by the rules of the WHATWG tokenizer.

Nothing is parsed into a tree: a tree cannot be written back as it stood. Every pattern is possessive, so that
no mail, however broken, takes more than a few passes over its text.
"""

import re
from dataclasses import dataclass

from .foreign import ForeignContent

_SPACE = r"[\t\n\f\r ]"
_NAME = r"[A-Za-z][^\t\n\f\r />]*+"
_NAME_ENDS = r"(?=[\t\n\f\r />])"
_ATTRIBUTE_NAME = r"[^\t\n\f\r />][^\t\n\f\r />=]*+"
_BARE = r"""[^\t\n\f\r >"'][^\t\n\f\r >]*+"""
_VALUE = rf"""(?:"[^"]*+"|'[^']*+'|(?=>)|{_BARE})"""
# A quote that is never closed swallows the rest of the text: "=" must be followed by a value that ends.
_ATTRIBUTE = rf"{_ATTRIBUTE_NAME}{_SPACE}*+(?:={_SPACE}*+{_VALUE}|(?!=))"
_ATTRIBUTES = rf"(?:[\t\n\f\r /]*+{_ATTRIBUTE})*+"
_NOT_MARKUP = r"[^<]++|<(?![A-Za-z!/?])|</(?=>)"

_LINKS = frozenset({"a", "area"})
_RAW = ("iframe", "noembed", "noframes", "style", "textarea", "title", "xmp")
_NOT_DULL = "|".join([*_LINKS, *_RAW, "base", "body", "math", "plaintext", "script", "svg"])

# Most of a mail is passed over in one match.
_TEXT = re.compile(rf"(?>{_NOT_MARKUP})++")
_DULL = re.compile(
    rf"(?>{_NOT_MARKUP}|</?+(?!(?:{_NOT_DULL}){_NAME_ENDS}|v:){_NAME}{_ATTRIBUTES}[\t\n\f\r /]*+>)++",
    re.ASCII | re.IGNORECASE,
)
_TAG = re.compile(rf"<(?P<slash>/?+)(?P<name>{_NAME})(?P<attributes>{_ATTRIBUTES})(?P<tail>[\t\n\f\r /]*+)>")
_NAMED_ATTRIBUTE = re.compile(
    rf"(?P<name>{_ATTRIBUTE_NAME}){_SPACE}*+(?:={_SPACE}*+"
    rf"""(?:"(?P<double>[^"]*+)"|'(?P<single>[^']*+)'|(?P<bare>{_BARE})|))?+"""
)
_QUOTES = {"double": '"', "single": "'"}

_COMMENT_AT_ONCE = re.compile("-?>")
_COMMENT_END = re.compile("--!?>")
_DECLARATION = re.compile("<[!?]|</(?![A-Za-z])")
_CONDITION = re.compile(r"\[if\b[^\]]*+\]>", re.ASCII | re.IGNORECASE)


def _end_tag(name: str) -> str:
    return f"</{name}{_NAME_ENDS}"


# Browsers show the rest of a page with <plaintext> as text: nothing ends it.
_RAW_ENDS = {"plaintext": re.compile("(?!)")} | {
    name: re.compile(_end_tag(name), re.ASCII | re.IGNORECASE) for name in _RAW
}

# The states of a script, by the name of the group that leads there: "<!--" hides an inner script element,
# whose end tag is then not the end of the outer one.
_SCRIPT_STATES: dict[str | None, re.Pattern[str]] = {
    state: re.compile(pattern, re.ASCII | re.IGNORECASE)
    for state, pattern in {
        "plain": rf"(?P<over>{_end_tag('script')})|(?P<escaped><!(?=--))",
        "escaped": rf"(?P<over>{_end_tag('script')})|(?P<double><script{_NAME_ENDS})|(?P<plain>-->)",
        "double": rf"(?P<escaped>{_end_tag('script')})|(?P<plain>-->)",
    }.items()
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Href:
    """Where the value of a link's ``href`` stands, without the ``quote`` around it (``"``, ``'`` or nothing).

    ``off``: the sender wrote ``data-tracker="off"`` on the element. ``doubtful``: a browser may take it for text.
    """

    start: int
    end: int
    quote: str
    off: bool
    doubtful: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """The links of a mail in order of appearance, where its content ends, and whether a ``base`` says what they are
    relative to."""

    hrefs: tuple[Href, ...]
    end: int
    based: bool


def scan(html: str) -> Scan:
    """Finds the first ``href`` of each ``a`` and ``area`` that a reader can click.

    Comments, scripts and other raw text hold no links, but Outlook's conditional comments do: there ``v:``
    elements count too. The content ends before the last ``</body>``, else before an unfinished construct
    that swallows the rest, else with the text.
    """
    scanner = _Scanner(html, len(html))
    stopped = scanner.run(0)
    end = stopped if scanner.body is None else scanner.body
    return Scan(hrefs=tuple(scanner.hrefs), end=end, based=scanner.based)


class _Scanner:
    """One walk over a text, or over the inside of a conditional comment. Methods say where to go on."""

    def __init__(self, html: str, end: int, *, outlook: bool = False) -> None:
        self.hrefs: list[Href] = []
        self.body: int | None = None
        self.based = False
        self._html = html
        self._end = end
        self._outlook = outlook
        self._foreign = ForeignContent()
        self._entered = 0
        self._doubted: str | None = None

    def run(self, at: int) -> int:
        """Reads from ``at``; gives the end, or the start of a construct that the text does not finish."""
        while at < self._end:
            dull = (_TEXT if self._foreign else _DULL).match(self._html, at, self._end)
            after = dull.end() if dull else self._construct(at)
            if after is None:
                # A pixel within a drawing would end it, and what follows would no longer be what it was.
                return self._entered if self._foreign else at
            at = after
        return at

    def _construct(self, at: int) -> int | None:
        if self._html.startswith("<!--", at, self._end):
            return self._comment(at + 4)
        if _DECLARATION.match(self._html, at, self._end):
            return self._declaration(at)
        tag = _TAG.match(self._html, at, self._end)
        if tag is None:
            return None
        return self._close(tag) if tag["slash"] else self._open(tag)

    def _comment(self, at: int) -> int | None:
        html, stop = self._html, self._end
        end = _COMMENT_AT_ONCE.match(html, at, stop) or _COMMENT_END.search(html, at, stop)
        if end is None:
            return None
        condition = _CONDITION.match(html, at, end.start())
        if condition:
            inside = _Scanner(html, end.start(), outlook=True)
            inside.run(condition.end())
            self.hrefs += inside.hrefs
            self.based |= inside.based
        return end.end()

    def _declaration(self, at: int) -> int | None:
        character_data = self._foreign and self._html.startswith("<![CDATA[", at, self._end)
        after, closing = (at + 9, "]]>") if character_data else (at + 2, ">")
        found = self._html.find(closing, after, self._end)
        return None if found < 0 else found + len(closing)

    def _close(self, tag: re.Match[str]) -> int:
        name = tag["name"].lower()
        if name == "body":
            self.body = tag.start()
        if name == self._doubted:
            self._doubted = None
        self._foreign.close(name)
        return tag.end()

    def _open(self, tag: re.Match[str]) -> int | None:
        name = tag["name"].lower()
        if name in _LINKS or (self._outlook and name.startswith("v:")):
            self._link(tag)
        elif name == "base":
            self.based |= "href" in _read_attributes(self._html, tag)
        if not self._foreign:
            self._entered = tag.start()
        if self._foreign.open(name, empty=tag["tail"].endswith("/")):
            # Forgotten end tags let browsers read it as HTML, where what it holds is text.
            if self._doubted is None and (name in _RAW_ENDS or name == "script"):
                self._doubted = name
            return tag.end()
        return self._content(name, tag.end())

    def _content(self, name: str, at: int) -> int | None:
        if name == "script":
            return _script_end(self._html, at, self._end)
        if name not in _RAW_ENDS:
            return at
        end = _RAW_ENDS[name].search(self._html, at, self._end)
        return end.start() if end else None

    def _link(self, tag: re.Match[str]) -> None:
        attributes = _read_attributes(self._html, tag)
        href, off = attributes.get("href"), attributes.get("data-tracker")
        if href is None:
            return
        start, end = _value_span(href)
        self.hrefs.append(
            Href(
                start=start,
                end=end,
                quote=_QUOTES.get(href.lastgroup or "", ""),
                off=off is not None and self._html[slice(*_value_span(off))].strip().lower() == "off",
                doubtful=self._doubted is not None,
            )
        )


def _read_attributes(html: str, tag: re.Match[str]) -> dict[str, re.Match[str]]:
    """The attributes of a tag by lower-case name; of those that stand twice, the first."""
    attributes: dict[str, re.Match[str]] = {}
    for attribute in _NAMED_ATTRIBUTE.finditer(html, *tag.span("attributes")):
        attributes.setdefault(attribute["name"].lower(), attribute)
    return attributes


def _value_span(attribute: re.Match[str]) -> tuple[int, int]:
    if attribute.lastgroup in (None, "name"):
        return attribute.end(), attribute.end()
    return attribute.span(attribute.lastgroup)


def _script_end(html: str, at: int, end: int) -> int | None:
    """Where the end tag of a script stands whose content begins at ``at``."""
    state: str | None = "plain"
    while step := _SCRIPT_STATES[state].search(html, at, end):
        if step.lastgroup == "over":
            return step.start()
        state, at = step.lastgroup, step.end()
    return None
