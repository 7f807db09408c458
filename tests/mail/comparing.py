"""Holds a rewritten mail against the original, as a browser sees both."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from tests.domain.test_links import ACCOUNT, ADDRESS_KEY, LINKS, MESSAGE
from tests.mail.chromium import Chromium, Node, Tree
from tracker.mail import scanner
from tracker.mail.html import rewrite_html
from tracker.mail.links import Judge
from tracker.web.links import MessageUrls

BASE_URL = "https://t.example"
OWN = f"{BASE_URL}/"
CLICK = f"{BASE_URL}/c/"
URLS = MessageUrls(links=LINKS, base_url=BASE_URL, account=ACCOUNT, message=MESSAGE, address_key=ADDRESS_KEY)

RAW = frozenset((*scanner._RAW_ENDS, "script"))

_HREF = " href"
_HTML = "http://www.w3.org/1999/xhtml "


class Rewrite(Protocol):
    """What is held to its word: a mail with its links replaced, and a pixel or none."""

    def __call__(self, html: str, *, pixel: str | None = None) -> str: ...


def rewrite(html: str, *, pixel: str | None = None) -> str:
    """As the product does."""
    return rewrite_html(html, track=URLS.track, own=OWN, pixel=pixel).content


def destination_of(href: str) -> str | None:
    """Where one of our click links leads."""
    return LINKS.read_click(href.removeprefix(CLICK)).destination


def check(mails: Sequence[str], browser: Chromium, rewriting: Rewrite = rewrite) -> int:
    """Hold these mails to all of it by the browser's own parser; gives how many of their links are tracked."""
    every = [*mails, *(rewriting(mail) for mail in mails), *(rewriting(mail, pixel=URLS.open_url) for mail in mails)]
    trees = browser.parsed(every)
    count, tracked = len(mails), 0
    for mail, original, made, complete in zip(mails, trees, trees[count:], trees[2 * count :], strict=False):
        tracked += same_but_for_links(original, made, browser, ascii(mail))
        assert [ascii(mail) for link in missed(original, made)] == []
        same_but_for_the_pixel(made, complete, ascii(mail))
    return tracked


def same_but_for_links(original: Tree, made: Tree, browser: Chromium, mail: str) -> int:
    """Every node is as it was, but that links may lead through us, and to where the browser would have gone."""
    changed = []
    assert len(original) == len(made), mail
    for before, after in zip(original, made, strict=True):
        if before != after:
            href = after.attributes.get(_HREF, "")
            assert href.startswith(CLICK), mail
            assert _without_link(before) == _without_link(after), mail
            changed.append((before.opened or "", destination_of(href) or ""))
    # Chromium spells what it opens in its own way: "|" in a path becomes "%7C", which the URL Standard leaves.
    odd = [pair for pair in changed if pair[0] != pair[1]]
    if odd:
        assert browser.follows([opened for opened, _ in odd]) == browser.follows([ours for _, ours in odd]), mail
        assert None not in browser.follows([opened for opened, _ in odd]), mail
    return len(changed)


def _without_link(node: Node) -> Node:
    return node._replace(attributes={**node.attributes, _HREF: ""}, opened="" if node.opened is not None else None)


def missed(original: Tree, made: Tree) -> Iterator[Node]:
    """Links outside of conditional comments that stayed, though the values that the browser reads could be tracked."""
    # What such an element of a drawing holds is left alone: a browser may as well take it for text.
    if any(node.name.rpartition(" ")[2] in RAW and not node.name.startswith(_HTML) for node in original):
        return
    based = any(node.name.endswith(" base") and _HREF in node.attributes for node in original)
    judge = Judge(track=URLS.track, own=OWN, based=based)
    for node in _outside_of_conditions(original, made):
        off = node.attributes.get(" data-tracker", "").strip().lower() == "off"
        if node.opened is not None and judge.judge(0, node.attributes[_HREF], off=off)[0].tracked:
            yield node


def _outside_of_conditions(original: Tree, made: Tree) -> Iterator[Node]:
    condition: int | None = None
    for before, after in zip(original, made, strict=True):
        if condition is not None and before.depth > condition:
            continue
        condition = before.depth if before.kind == "comment" and before.name.startswith("[") else None
        if before == after:
            yield before


def same_but_for_the_pixel(made: Tree, complete: Tree, mail: str) -> None:
    """One pixel more, and every text and link as without it. Of a set of frames nothing is promised."""
    if any(node.name == f"{_HTML}frameset" for node in made):
        return
    pixels = [node.name for node in complete if node.attributes.get(" src") == URLS.open_url]
    assert pixels == [f"{_HTML}img"], mail
    assert _words(complete) == _words(made), mail
    assert _opened(complete) == _opened(made), mail


def _opened(tree: Tree) -> set[str | None]:
    # Around the pixel a browser opens again what was not closed: a link can stand there twice.
    return {node.opened for node in tree}


def _words(tree: Tree) -> str:
    return "".join(node.name for node in tree if node.kind == "text")
