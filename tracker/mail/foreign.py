"""Knows whether a tag stands in SVG or MathML, where the words of HTML mean nothing."""

from collections import Counter

# Elements of the foreign kind inside which HTML goes on.
_ISLANDS = {
    "svg": frozenset({"desc", "foreignobject", "title"}),
    "math": frozenset({"mi", "mn", "mo", "ms", "mtext"}),
}
# A browser takes these for the sign of a forgotten end tag, and returns to HTML.
_BREAK_OUT = frozenset(
    {"b", "big", "blockquote", "body", "br", "center", "code", "dd", "div", "dl", "dt", "em", "embed"}
    | {"h1", "h2", "h3", "h4", "h5", "h6", "head", "hr", "i", "img", "li", "listing", "menu", "meta", "nobr"}
    | {"ol", "p", "pre", "ruby", "s", "small", "span", "strong", "strike", "sub", "sup", "table", "tt", "u"}
    | {"ul", "var"}
)
_BREAK_OUT_ENDS = frozenset({"br", "p"})


class ForeignContent:
    """The ``svg`` and ``math`` elements that are open, and the islands of HTML in them.

    It follows tags, not a tree: unbalanced tags in foreign content may be read otherwise than by a browser.
    """

    def __init__(self) -> None:
        self._stack: list[str] = []
        # Deeply nested mails must not make each end tag a search through the stack.
        self._counts: Counter[str] = Counter()

    def __bool__(self) -> bool:
        return bool(self._stack)

    def open(self, name: str, *, empty: bool) -> bool:
        """Whether a start tag is a foreign one; ``empty``: it ends in ``/>``."""
        if self._in_foreign() and name in _BREAK_OUT:
            self._break_out()
        foreign = self._in_foreign()
        if not empty and (name in _ISLANDS or (foreign and name in _ISLANDS[self._stack[-1]])):
            self._stack.append(name)
            self._counts[name] += 1
        return foreign or name in _ISLANDS

    def close(self, name: str) -> None:
        """Follows an end tag."""
        if self._in_foreign() and name in _BREAK_OUT_ENDS:
            self._break_out()
        elif self._counts[name]:
            while self._pop() != name:
                pass

    def _in_foreign(self) -> bool:
        return bool(self._stack) and self._stack[-1] in _ISLANDS

    def _break_out(self) -> None:
        while self._in_foreign():
            self._pop()

    def _pop(self) -> str:
        name = self._stack.pop()
        self._counts[name] -= 1
        return name
