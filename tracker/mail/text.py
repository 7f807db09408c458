"""Rewrites the web addresses in a plain-text mail."""

import re

from .links import MERGE_TAG, Judge, Link, Rewritten, Track

# Beside what no URL holds unescaped: what people write after one, and characters nobody sees.
_STOP = (
    r"\s\x00-\x1f\x7f-\x9f<>\""
    r"\u200b-\u200f\u202a-\u202e\u2060\ufeff"
    "“”„‟«»‹›‘’…"
    "、。〈〉《》「」『』【】（），．：；！？"
)
_ADDRESS = re.compile(rf"(?<![A-Za-z0-9+])(?ai:https?)://(?>{MERGE_TAG}|[^{_STOP}])++")
_PUNCTUATION = frozenset(".,;:!?'")
_BRACKETS = {")": "(", "]": "[", "}": "{"}


def rewrite_text(text: str, *, track: Track, own: str, first: int = 0) -> Rewritten:
    """Replaces the http and https addresses that ``track`` signs; every other character stays.

    Punctuation after an address and a bracket that opens before it are not part of it, except within
    ``<...>``. Addresses are numbered from ``first``, tracked or not; ``own`` is the base URL with its slash.
    """
    judge = Judge(track=track, own=own)
    links: list[Link] = []
    pieces: list[str] = []
    copied = 0
    for address in _ADDRESS.finditer(text):
        url = _without_punctuation(text, address)
        if url.endswith("//"):
            continue
        link, replacement = judge.judge(first + len(links), url)
        links.append(link)
        if replacement is not None:
            pieces += (text[copied : address.start()], replacement)
            copied = address.start() + len(url)
    return Rewritten(content="".join(pieces) + text[copied:], links=tuple(links))


def _without_punctuation(text: str, address: re.Match[str]) -> str:
    url = address[0]
    if text[address.start() - 1 : address.start()] == "<" and text[address.end() : address.end() + 1] == ">":
        return url
    unopened = {closing: url.count(closing) - url.count(opening) for closing, opening in _BRACKETS.items()}
    end = len(url)
    while url[end - 1] in _PUNCTUATION or unopened.get(url[end - 1], 0) > 0:
        end -= 1
        if url[end] in unopened:
            unopened[url[end]] -= 1
    return url[:end]
