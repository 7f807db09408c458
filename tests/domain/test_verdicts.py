"""Verdicts: a person is never called a machine, and what gives itself away is never called a person."""

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.shared_data import shared
from tracker.domain.verdicts import PURPOSE_HEADERS, RULESET, Verdict, judge, prefetched

HUMAN = Verdict(value="human")
SCANNER = Verdict(value="machine", machine_class="scanner_ua", signals=("scanner_ua",))

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"
)
OLD_EDGE = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/42.0.2311.135 Safari/537.36 Edge/12.246"
)
GMAIL_PROXY = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
YAHOO_PROXY = "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"

PEOPLE = [
    CHROME,
    OLD_EDGE,
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "Mozilla/5.0 (Linux; Android 14; CUBOT KINGKONG 9) AppleWebKit/537.36 (KHTML, like Gecko) Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 9; CUBOT_X18_Plus) AppleWebKit/537.36 (KHTML, like Gecko) Mobile Safari/537.36",
    "Mozilla/5.0 (compatible; MSIE 9.0; Windows NT 6.1; Trident/5.0; Banca Caboto s.p.a.)",
    "Opera/9.70 (Linux armv7l ; U; turbotabbee/TSV2.0/1.02Q; fr) Presto/2.2",
    "fuboTV/4.75.0 (Linux;Android 9; AFTDCT31 Build/PS7664.3772N) FuboPlayer/v1.34.0",
    "HotJava/1.1.2 FCS",
    "NokiaC2-00/2.0 (03.45) Profile/MIDP-2.1 Configuration/CLDC-1.1 Mozilla/5.0 (Java; U; kau) UCBrowser8.3",
    "Lynx/2.8.9rel.1 libwww-FM/2.14 SSL-MM/1.4.1 OpenSSL/1.1.1w",
    "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 5.1; EmbeddedWB 14.52 from: http://www.bsalsa.com/ )",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Instagram 330.0 (iPhone14,3; en_IR@calendar=gregorian)",
    "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.12026; Pro)",
    "Outlook-iOS/709.2042344.prod.iphone (3.21.0)",
    "The Bat! Voyager 4.0.18.4",
]

PROGRAMS = [
    "",
    "   ",
    "curl/8.5.0",
    "python-requests/2.32.3",
    "Python/3.11 aiohttp/3.9.1",
    "Go-http-client/2.0",
    "Java/17.0.2",
    "okhttp/4.12.0",
    "Apache-HttpClient/4.5.14 (Java/17)",
    "axios/1.7.2",
    "Wget/1.21.4",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
    "Mozilla/5.0 (compatible; Baiduspider/2.0)",
    "Mozilla/5.0 (compatible; NeverHeardOf/1.0)",
    "SomethingNew/1.0 (ops@example.com)",
    "SomethingNew/1.0 (see https://example.com/about)",
    "B2B Bot",
    "kb.dk_bot",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/120.0.0.0 Safari/537.36",
    "Barracuda Sentinel (EE)",
    # Link previews
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "facebookexternalhit/1.1",
    "WhatsApp/2.23.20.0 A",
    "TelegramBot (like TwitterBot)",
    "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
    "Twitterbot/1.0",
    "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5",
    f"{OLD_EDGE} Gmail-content-sampling",
]


def opened(user_agent: str, *, prefetch: bool = False) -> Verdict:
    return judge(event_type="opened", user_agent=user_agent, prefetch=prefetch)


def clicked(user_agent: str, *, prefetch: bool = False) -> Verdict:
    return judge(event_type="clicked", user_agent=user_agent, prefetch=prefetch)


@pytest.mark.parametrize("user_agent", PEOPLE)
def test_people_are_people_whatever_their_telephone_is_called(user_agent: str) -> None:
    """No word inside a word makes a reader a machine."""
    assert opened(user_agent) == HUMAN
    assert clicked(user_agent) == HUMAN


@pytest.mark.parametrize("user_agent", PROGRAMS)
def test_crawlers_libraries_and_link_previews_are_machines(user_agent: str) -> None:
    """What names itself, and what says nothing at all."""
    assert opened(user_agent) == SCANNER
    assert clicked(user_agent) == SCANNER


def test_gmails_prefetch_is_a_machine_and_the_old_edge_it_imitates_is_not() -> None:
    """Only the whole string tells them apart: never a prefix of it, never more than it."""
    prefetch = Verdict(value="machine", machine_class="gmail_prefetch", signals=("gmail_prefetch",))
    assert opened(f"{OLD_EDGE} Mozilla/5.0") == prefetch
    assert opened(OLD_EDGE) == HUMAN
    assert opened(f"{OLD_EDGE} Mozilla/5.0 ") == HUMAN
    assert opened(f"{OLD_EDGE} Mozilla/5.0 Other/1") == HUMAN


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (GMAIL_PROXY, "gmail_proxy"),
        ("Firefox/11.0 (via ggpht.com GoogleImageProxy)", "gmail_proxy"),
        (YAHOO_PROXY, "yahoo_proxy"),
        ("YahooCacheSystem; YahooWebServiceClient", "yahoo_proxy"),
        ("Mozilla/5.0 SeznamEmailProxy/2.0.174", "mail_proxy"),
        ("RamblerMail/6.0 (incompatible; ImageProxy/6.0)", "mail_proxy"),
        ("FastmailUA/1.0", "mail_proxy"),
    ],
)
def test_a_mailboxs_picture_proxy_stands_for_a_person(user_agent: str, name: str) -> None:
    """It fetches when the person opens; it hides where and on what."""
    assert opened(user_agent) == Verdict(value="human", machine_class=name, signals=(name,), proxied=True)


def test_apples_mail_privacy_is_unknown_on_an_open() -> None:
    """It fetches whether or not anybody reads, so neither answer would be true."""
    assert opened("Mozilla/5.0") == Verdict(
        value="unknown", machine_class="apple_mpp_probable", signals=("apple_mpp_probable",)
    )
    assert opened("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)") == HUMAN


def test_a_click_by_a_user_agent_that_says_nothing_is_a_machines() -> None:
    """Apple's proxies follow no links, and every browser says more than "Mozilla/5.0"."""
    assert clicked("Mozilla/5.0") == SCANNER


def test_a_prefetch_is_a_machine_whoever_reads_later() -> None:
    """The browser asked, not the person; what else was seen is kept beside it."""
    prefetch = Verdict(value="machine", machine_class="prefetch", signals=("prefetch",))
    assert clicked(CHROME, prefetch=True) == prefetch
    assert opened(CHROME, prefetch=True) == prefetch
    assert clicked("curl/8.5.0", prefetch=True).signals == ("prefetch", "scanner_ua")
    behind_gmail = opened(GMAIL_PROXY, prefetch=True)
    assert (behind_gmail.value, behind_gmail.proxied) == ("machine", True)


@pytest.mark.parametrize("event_type", ["unsubscribed", "resubscribed", "complained"])
def test_an_opt_out_is_a_persons_whatever_carried_it(event_type: str) -> None:
    """The one-click POST comes from the servers of mailbox providers (RFC 8058)."""
    assert judge(event_type=event_type, user_agent="", prefetch=False) == HUMAN
    assert judge(event_type=event_type, user_agent="Go-http-client/2.0", prefetch=True) == HUMAN


@pytest.mark.parametrize(
    "values",
    [
        [b"prefetch"],
        ["prefetch"],
        [b"prefetch;anonymous-client-ip"],
        [b"prefetch;prerender"],
        [b"PREFETCH"],
        ["Preview"],
        [b"prerender"],
        [b"", b"other", b"prefetch"],
    ],
)
def test_a_header_that_says_ahead_of_the_person_is_a_prefetch(values: Iterable[bytes | str]) -> None:
    """Chromium's, old Firefox's and Safari's words, in any case, in any of the headers."""
    assert prefetched(values)


@pytest.mark.parametrize("values", [[], [b""], [b"navigate"], ["fetch"], [b"\xff\xfe"]])
def test_other_headers_are_no_prefetch(values: Iterable[bytes | str]) -> None:
    """Nothing said, or something else said."""
    assert not prefetched(values)


def test_the_headers_of_purpose_are_named_as_asgi_names_them() -> None:
    """In lower case and bytes, so that a loop over the headers of a request can look them up."""
    assert {b"sec-purpose", b"purpose", b"x-purpose", b"x-moz"} == PURPOSE_HEADERS


def test_only_the_first_512_characters_of_a_user_agent_count() -> None:
    """Whoever sends a megabyte makes nobody work for it (B-28)."""
    assert opened(CHROME + " " * 512 + "bot") == HUMAN
    assert opened("x" * 508 + " bot") == SCANNER
    assert opened("x" * 509 + " bot") == HUMAN


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=()), max_size=600), st.booleans())
def test_every_user_agent_gets_a_verdict(user_agent: str, prefetch: bool) -> None:
    """No input raises, and a class always comes with its signal."""
    verdict = opened(user_agent, prefetch=prefetch)
    assert verdict.machine_class == (verdict.signals[0] if verdict.signals else None)


def test_verdicts_say_which_rules_gave_them() -> None:
    """An integer that grows, stored beside each verdict."""
    assert RULESET >= 1


def _labelled() -> list[dict[str, Any]]:
    lines = shared("ua/user_agents.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_no_real_person_and_no_real_mail_program_is_called_a_machine() -> None:
    """Some 3,000 user agents of browsers, telephones and mail programs, each opening and clicking."""
    # Known noise of these labels: a browser without a screen, and Yahoo's crawler.
    noise = ("HeadlessChrome", "Yahoo! Slurp")
    rows = [row for row in _labelled() if row["label"] in ("human", "mail_client", "mail_proxy")]
    people = [row["ua"] for row in rows if not any(name in row["ua"] for name in noise)]
    assert len(people) > 3_000
    assert [ua for ua in people if "machine" in (opened(ua).value, clicked(ua).value)] == []


def test_nine_in_ten_real_programs_are_called_machines() -> None:
    """Crawlers, libraries and scanners of four public collections. The rest name themselves in no known way."""
    programs = [row["ua"] for row in _labelled() if row["label"] in ("bot", "http_library", "security_scanner")]
    assert len(programs) > 1_700
    found = sum(opened(ua).value == "machine" for ua in programs)
    assert found / len(programs) >= 0.9


def test_documented_requests_get_their_documented_verdict() -> None:
    """Each request that its headers alone decide, as its vendor or finder describes it."""
    checked = 0
    for row in _documented_requests():
        kind = {"open": "opened", "click": "clicked"}[row["kind"]]
        purposes = [value for name, value in row.get("headers", {}).items() if name.lower().encode() in PURPOSE_HEADERS]
        verdict = judge(event_type=kind, user_agent=row.get("ua", CHROME), prefetch=prefetched(purposes))
        assert verdict.value == _expected_value(row), row["id"]
        assert verdict.proxied == row["expect"].startswith("proxied"), row["id"]
        assert verdict.machine_class == _expected_class(row), row["id"]
        checked += 1
    assert checked == 14


def _documented_requests() -> Iterable[dict[str, Any]]:
    # Decided by network or by time: an ordinary browser in Microsoft's network, a pair twelve seconds apart.
    by_other_evidence = {"safelinks-2020-a", "resend-pair-human", "resend-pair-scanner"}
    for line in shared("ua/documented_requests.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["id"] not in by_other_evidence:
            yield row


def _expected_value(row: dict[str, Any]) -> str:
    if row["class"] == "apple_mpp":
        return "unknown"
    return "machine" if row["expect"] == "machine" else "human"


def _expected_class(row: dict[str, Any]) -> str | None:
    # Without the network, Apple's proxy is probable; without the vendor's range, a scanner is one by its name.
    names = {"apple_mpp": "apple_mpp_probable", "security_scanner": "scanner_ua", "none": None}
    name: str = row["class"]
    return names.get(name, name)
