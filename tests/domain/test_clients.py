"""Clients: what people read with, by its usual name, and nothing that a proxy hides."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.shared_data import shared
from tracker.domain.clients import Program, describe

WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
BLINK = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0"
PREFETCH = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0"
)

KNOWN = [
    (
        f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {BLINK} Safari/537.36 Edg/141.0 OneOutlook/1.2025.1",
        Program(name="Outlook", os="Windows", device="desktop"),
    ),
    (
        "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.12026; Pro)",
        Program(name="Outlook", os="Windows", device="desktop"),
    ),
    (
        "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; Trident/8.0; ms-office; MSOffice 16)",
        Program(name="Outlook", os="Windows", device="desktop"),
    ),
    (
        f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {WEBKIT} MacOutlook/16.77",
        Program(name="Outlook", os="macOS", device="desktop"),
    ),
    ("Outlook-iOS/709.2042344.prod.iphone (3.21.0)", Program(name="Outlook", os="iOS", device="phone")),
    (
        "Outlook-Express/7.0 (MSIE 8.0; Windows NT 6.1; Trident/4.0)",
        Program(name="Windows Live Mail", os="Windows", device="desktop"),
    ),
    (
        f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {WEBKIT}",
        Program(name="Apple Mail", os="macOS", device="desktop"),
    ),
    (
        f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) {WEBKIT} Mobile/15E148",
        Program(name="Apple Mail", os="iOS", device="phone"),
    ),
    (
        f"Mozilla/5.0 (iPad; CPU OS 18_1 like Mac OS X) {WEBKIT} Mobile/15E148",
        Program(name="Apple Mail", os="iOS", device="tablet"),
    ),
    (
        f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) {WEBKIT} Version/18.1 Mobile/15E148 Safari/604.1",
        Program(name="Safari", os="iOS", device="phone"),
    ),
    (
        "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.4.0",
        Program(name="Thunderbird", os="Linux", device="desktop"),
    ),
    (
        f"Mozilla/5.0 (Linux; Android 15; Pixel 9) {BLINK} Mobile Safari/537.36",
        Program(name="Chrome", os="Android", device="phone"),
    ),
    (
        f"Mozilla/5.0 (Linux; Android 15; SM-X700) {BLINK} Safari/537.36",
        Program(name="Chrome", os="Android", device="tablet"),
    ),
    (
        f"Mozilla/5.0 (Linux; Android 12; BRAVIA 4K ATV) {BLINK} Safari/537.36",
        Program(name="Chrome", os="Android", device=None),
    ),
    ("NaverMailApp/2.2.2 (Android 10; SM-G986N)", Program(name="Naver Mail", os="Android", device=None)),
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:132.0) Gecko/20100101 Firefox/132.0",
        Program(name="Firefox", os="Windows", device="desktop"),
    ),
]


@pytest.mark.parametrize(("user_agent", "client"), KNOWN)
def test_a_mail_program_or_browser_is_shown_by_its_usual_name(user_agent: str, client: Program) -> None:
    """The program, not the browser inside it; the system; the kind of device."""
    assert describe(user_agent) == client


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        ("Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)", "Gmail"),
        (PREFETCH, "Gmail"),
        ("YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html", "Yahoo Mail"),
        ("Mozilla/5.0 SeznamEmailProxy/2.0.174", None),
    ],
)
def test_behind_a_proxy_the_mailbox_is_known_and_nothing_else(user_agent: str, name: str | None) -> None:
    """Gmail's proxy says Windows XP to everybody: it would be a lie to show it."""
    assert describe(user_agent) == Program(name=name, os=None, device=None)


@pytest.mark.parametrize("user_agent", ["", "Mozilla/5.0", "\0", "\ud800", "x" * 100_000])
def test_what_is_unknown_stays_empty(user_agent: str) -> None:
    """No guess is better than a wrong one."""
    assert describe(user_agent) == Program()


def test_only_the_first_512_characters_are_read() -> None:
    """Whoever sends more makes nobody work for it (B-28)."""
    assert describe(" " * 502 + "Thunderbird").name is None
    assert describe(" " * 501 + "Thunderbird").name == "Thunderbird"


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=()), max_size=600))
def test_describing_never_fails(user_agent: str) -> None:
    """A strange user agent costs nobody the event it came with."""
    describe(user_agent)


def test_every_real_mail_program_has_a_name() -> None:
    """Whatever its makers call it: only three are unknown to all our rules."""
    rows = [json.loads(line) for line in shared("ua/user_agents.jsonl").read_text(encoding="utf-8").splitlines()]
    programs = [row for row in rows if row["label"] == "mail_client"]
    outlooks = [row["ua"] for row in programs if row["name"] in ("Microsoft Outlook", "Outlook", "Outlook-iOS")]
    assert {describe(ua).name for ua in outlooks} == {"Outlook"}
    assert sum(describe(row["ua"]).name is None for row in programs) <= 3


def test_the_tables_of_ua_parser_are_loaded_by_the_first_who_asks() -> None:
    """35 MB that the process which answers readers never needs."""
    program = """
import sys
from tracker.domain.clients import describe
assert not any(name.startswith("ua_parser") for name in sys.modules)
describe("Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0")
assert "ua_parser" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2])
