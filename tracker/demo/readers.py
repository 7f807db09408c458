"""The readers of the newsletter, and how the programs that ask for them introduce themselves."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """A person who gets the newsletter."""

    name: str
    email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """Software that asks for pictures and links: its name for people, and what it sends as ``User-Agent``."""

    name: str
    user_agent: str


ADA: Final = Reader(name="Ada", email="ada@example.com")
BEN: Final = Reader(name="Ben", email="ben@example.com")
CLEO: Final = Reader(name="Cleo", email="cleo@example.com")
DORA: Final = Reader(name="Dora", email="dora@example.com")
READERS: Final = (ADA, BEN, CLEO, DORA)

_WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"

APPLE_MAIL: Final = Program(
    name="Apple Mail, a Mac", user_agent=f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_WEBKIT}"
)
GMAIL_PROXY: Final = Program(
    name="Gmail's proxy",
    user_agent="Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
)
APPLE_PRIVACY: Final = Program(name="Apple's privacy proxy", user_agent="Mozilla/5.0")
SAFARI: Final = Program(
    name="Safari, an iPhone",
    user_agent=f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) {_WEBKIT} "
    "Version/18.6 Mobile/15E148 Safari/604.1",
)
IPHONE_MAIL: Final = Program(
    name="Apple Mail, an iPhone",
    user_agent=f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) {_WEBKIT} Mobile/15E148",
)
# Scanners of mail gateways pass for an ordinary browser.
SCANNER: Final = Program(
    name="a mail scanner",
    user_agent="Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/138.0.0.0 Safari/537.36",
)
LINK_CHECKER: Final = Program(
    name="a link checker", user_agent="Mozilla/5.0 (compatible; LinkChecker/2.4; +https://linkchecker.example/)"
)
FORGER: Final = Program(
    name="a forger", user_agent="Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
)
