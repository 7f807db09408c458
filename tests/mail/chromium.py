"""Chromium's own view of a mail: every node of the tree it makes, and where each link would lead."""

import base64
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_SCRIPT = Path(__file__).with_name("snapshot.js").read_text("utf-8")
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]

WITH_SCRIPTS_AND_WITHOUT = ("with scripts", "without scripts")
"""A page that may run scripts reads the inside of ``noscript`` as text; a mail program reads it as markup."""


class Node(NamedTuple):
    """A node of a tree. ``opened`` is where an element that can be a link leads, None for any other."""

    depth: int
    kind: str
    name: str
    attributes: dict[str, str]
    opened: str | None


Tree = list[Node]


class Chromium:
    """One browser; mails are shown to it one after the other."""

    def __init__(self, browser: "Browser") -> None:
        self._parser = _page(browser, scripts=False)
        self._pages = dict(zip(WITH_SCRIPTS_AND_WITHOUT, (_page(browser, scripts=True), self._parser), strict=True))

    def parsed(self, mails: Sequence[str]) -> list[Tree]:
        """What ``DOMParser`` makes of each."""
        return [_tree(one) for one in self._asked("parsed", list(mails))]

    def shown(self, mail: str, how: str) -> Tree:
        """What a page becomes that is made of it; ``how`` is one of :data:`WITH_SCRIPTS_AND_WITHOUT`."""
        page = self._pages[how]
        written = base64.b64encode(mail.encode("utf-8", "replace")).decode()
        url = f"data:text/html;charset=utf-8;base64,{written}"
        page.goto(url)
        found = page.evaluate(f"() => {{ {_SCRIPT}\n return JSON.stringify(snapshot(document)); }}")
        # Links into the page itself would be compared with its contents.
        return [node._replace(opened=node.opened and node.opened.replace(url, "")) for node in _tree(json.loads(found))]

    def follows(self, urls: Sequence[str]) -> list[str | None]:
        """Where a redirect to each of these leads; None for what leads nowhere."""
        return list(self._asked("followed", list(urls)))

    def _asked(self, function: str, values: list[str]) -> list[Any]:
        # As text: halves of surrogate pairs come through, and playwright does not take every node to pieces.
        script = f"values => {{ {_SCRIPT}\n return JSON.stringify(JSON.parse(values).map({function})); }}"
        found: list[Any] = json.loads(self._parser.evaluate(script, json.dumps(values)))
        return found


def _page(browser: "Browser", *, scripts: bool) -> "Page":
    context = browser.new_context(java_script_enabled=scripts, offline=True)
    context.route("**/*", lambda route: route.abort())
    return context.new_page()


def _tree(found: list[Any]) -> Tree:
    return [Node(*one) for one in found]


@contextmanager
def chromium() -> Iterator[Chromium]:
    """Start one. Skips the test where there is none."""
    api = pytest.importorskip("playwright.sync_api", reason="install what .ci/browser.lock names")
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("no chromium on the PATH: install it to see mails as a browser does")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        yield Chromium(browser)
        browser.close()
