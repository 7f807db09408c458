"""Tracks links as the product does, but with short hrefs that can be found again."""

from tracker.domain.destinations import judge_destination
from tracker.mail.links import Tracked

OWN = "https://t.example/"
PIXEL_URL = "https://t.example/o/1.gif"
PIXEL = '<img src="https://t.example/o/1.gif" width="1" height="1" alt="">'


def track(number: int, url: str) -> Tracked:
    """The destination a browser would open, and ``https://t.example/c/<number>.``."""
    return Tracked(destination=judge_destination(url), href=f"{OWN}c/{number}.")
