"""Works out what follows from a slice of the journal; decides everything, stores nothing."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

from ..domain.clients import describe
from ..domain.events import Hit, JournalRow
from ..domain.ids import event_id
from ..domain.verdicts import RULESET, judge
from ..storage.projections import CampaignCount, CountKey, ProjectedEvent, Projection

Contexts = Mapping[tuple[bytes, bytes], tuple[str, str | None]]
"""Campaign and topic by account and message, of the messages that exist."""


def project(
    mark: int,
    rows: Sequence[JournalRow],
    *,
    accounts: Collection[bytes],
    contexts: Contexts,
    counted: Collection[CountKey],
    new_id: Callable[[int], bytes] = event_id,
) -> Projection:
    """The events and counts that the rows after ``mark`` give.

    ``counted`` says which messages have events of which type and verdict already: theirs are not unique.
    Rows of accounts that are not among ``accounts`` are dropped and counted.
    """
    known = [row.hit for row in rows if row.hit.account in accounts]
    events = [_event(hit, contexts, new_id) for hit in known]
    message_counts = Counter(_count_key(event) for event in events if event.message_id is not None)
    return Projection(
        old=mark,
        new=rows[-1].key,
        keys=[row.key for row in rows],
        events=events,
        message_counts=sorted(message_counts.items()),
        campaign_counts=_campaign_counts(events, message_counts.keys() - set(counted)),
        dropped=len(rows) - len(known),
    )


def _event(hit: Hit, contexts: Contexts, new_id: Callable[[int], bytes]) -> ProjectedEvent:
    context = contexts.get((hit.account, hit.message))
    verdict = judge(event_type=hit.type, user_agent=hit.user_agent, prefetch=hit.prefetch, blocked=hit.blocked)
    client = describe(hit.user_agent)
    return ProjectedEvent(
        account_id=hit.account,
        id=new_id(hit.occurred_at),
        revision=1,
        type=hit.type,
        occurred_at=hit.occurred_at,
        campaign=context[0] if context else "",
        topic=context[1] if context else None,
        message_id=hit.message if context else None,
        url=hit.url,
        link=hit.link,
        method=hit.method.value if hit.method else None,
        user_agent=hit.user_agent or None,
        referrer=hit.referrer,
        ruleset=RULESET,
        # A proxy shows its own network and system, which say nothing about the reader.
        client_name=client.name,
        client_os=None if verdict.proxied else client.os,
        client_device=None if verdict.proxied else client.device,
        ip=None if verdict.proxied else hit.network,
        proxied=int(verdict.proxied),
        verdict=verdict.value,
        verdict_class=verdict.machine_class,
        signals=" ".join(verdict.signals),
    )


def _campaign_counts(events: Sequence[ProjectedEvent], fresh: Collection[CountKey]) -> list[CampaignCount]:
    totals: Counter[tuple[bytes, str, str, str]] = Counter()
    uniques: Counter[tuple[bytes, str, str, str]] = Counter()
    unseen = set(fresh)
    for event in events:
        key = (event.account_id, event.campaign, event.type, event.verdict)
        totals[key] += 1
        if event.message_id is not None and (count_key := _count_key(event)) in unseen:
            unseen.discard(count_key)
            uniques[key] += 1
    return [CampaignCount(*key, total, uniques[key]) for key, total in sorted(totals.items())]


def _count_key(event: ProjectedEvent) -> CountKey:
    return (event.account_id, event.message_id or b"", event.type, event.verdict)
