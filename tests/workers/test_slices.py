"""What follows from a slice is worked out without looking anything up."""

from collections.abc import Sequence
from typing import Any

from tests.storage.samples import ACCOUNT, APPLE, CURL, FIREFOX, MESSAGE, NOW, OTHER_ACCOUNT, a_hit
from tracker.domain.events import Hit, JournalRow, Method
from tracker.domain.ids import event_id
from tracker.domain.verdicts import RULESET
from tracker.storage.messages import Context
from tracker.storage.projections import CampaignCount, ProjectedEvent, Projection
from tracker.workers.slices import project

GOOGLE = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"


def projected(hits: Sequence[Hit], **given: Any) -> Projection:
    rows = [JournalRow(key=10 + number, hit=hit) for number, hit in enumerate(hits)]
    values: dict[str, Any] = {
        "accounts": [ACCOUNT],
        "contexts": {(ACCOUNT, MESSAGE): Context("spring", "offers")},
        "counted": set(),
    }
    return project(9, rows, **{**values, **given})


def the_event(hit: Hit) -> ProjectedEvent:
    [event] = projected([hit]).events
    return event


def test_event_carries_what_the_hit_said() -> None:
    """And its id begins with its time."""
    hit = a_hit(type="clicked", network="203.0.113.0", referrer="https://m.example/", link=3, url="https://s.example/")
    event = the_event(hit)
    assert event.id[:6] == event_id(NOW)[:6]
    assert (event.account_id, event.message_id, event.campaign, event.topic) == (ACCOUNT, MESSAGE, "spring", "offers")
    assert (event.type, event.occurred_at, event.revision, event.ruleset) == ("clicked", NOW, 1, RULESET)
    assert (event.url, event.link, event.referrer, event.ip) == (hit.url, 3, hit.referrer, "203.0.113.0")
    assert event.user_agent == FIREFOX
    assert (event.client_name, event.client_os, event.client_device) == ("Firefox", "Linux", "desktop")
    assert (event.verdict, event.verdict_class, event.signals, event.proxied) == ("human", None, "", 0)


def test_nothing_said_is_null() -> None:
    """An empty user agent is none; a method is a word."""
    event = the_event(a_hit(user_agent=""))
    assert (event.user_agent, event.client_name, event.method) == (None, None, None)
    assert the_event(a_hit(type="unsubscribed", method=Method.PAGE)).method == "page"


def test_machines_are_told_from_people() -> None:
    """With the signals that told, the deciding one first."""
    event = the_event(a_hit(type="clicked", user_agent=CURL, prefetch=True))
    assert (event.verdict, event.verdict_class, event.signals) == ("machine", "prefetch", "prefetch scanner_ua")
    assert the_event(a_hit(user_agent=APPLE)).verdict == "unknown"


def test_blocked_click_is_nobodys() -> None:
    """Whoever came was not led on: it never raises the number of people, and what else was seen is kept."""
    event = the_event(a_hit(type="clicked", blocked=True))
    assert (event.verdict, event.verdict_class, event.signals) == ("unknown", "blocked", "blocked")
    event = the_event(a_hit(type="clicked", blocked=True, user_agent=CURL, prefetch=True))
    assert (event.verdict, event.verdict_class, event.signals) == ("unknown", "blocked", "blocked prefetch scanner_ua")


def test_proxy_hides_the_reader() -> None:
    """Its network and its system are its own, and would pass for the reader's."""
    event = the_event(a_hit(user_agent=GOOGLE, network="66.249.84.0"))
    assert (event.proxied, event.ip, event.client_os, event.client_device) == (1, None, None, None)
    assert event.client_name == "Gmail"


def test_slice_reaches_from_its_mark_to_its_last_row() -> None:
    """Whatever its rows become."""
    projection = projected([a_hit(), a_hit(account=OTHER_ACCOUNT), a_hit()])
    assert (projection.old, projection.new, projection.dropped, len(projection.events)) == (9, 12, 1, 2)


def test_first_event_of_a_message_is_unique() -> None:
    """Of each type and verdict, in this slice or before it; what is of no known message is of no numbers."""
    hits = [a_hit(), a_hit(), a_hit(user_agent=CURL), a_hit(type="clicked"), a_hit(message=bytes(16))]
    opened, clicked = ("opened", "human"), ("clicked", "human")
    assert sorted(projected(hits).campaign_counts, key=str) == sorted(
        [
            CampaignCount(ACCOUNT, "spring", 0, *opened, 2, 1),
            CampaignCount(ACCOUNT, "spring", 0, "opened", "machine", 1, 1),
            CampaignCount(ACCOUNT, "spring", 0, *clicked, 1, 1),
        ],
        key=str,
    )
    again = projected(hits, counted={(ACCOUNT, MESSAGE, *opened)})
    assert {count.uniques for count in again.campaign_counts if (count.type, count.verdict) == opened} == {0}
    assert dict(again.message_counts)[ACCOUNT, MESSAGE, "opened", "human"] == 2
