"""Works out what follows from a slice of the journal; decides everything, stores nothing."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from ..domain.clients import describe
from ..domain.events import EventType, Hit, JournalRow
from ..domain.ids import event_ids
from ..domain.verdicts import RULESET, judge
from ..storage.messages import Context
from ..storage.projections import CampaignCount, CountKey, ProjectedEvent, Projection

Contexts = Mapping[tuple[bytes, bytes], Context]
"""What a message was made for, by account and message, of the messages that exist."""

_OF_A_CAMPAIGN = {EventType.OPENED.value, EventType.CLICKED.value}
"""What is nobody's business once the campaign was deleted. An opt-out is the account's, whatever it was said about."""


def project(
    mark: int,
    rows: Sequence[JournalRow],
    *,
    accounts: Collection[bytes],
    contexts: Contexts,
    counted: Collection[CountKey],
) -> Projection:
    """The events and counts that the rows after ``mark`` give.

    ``counted`` says which messages have events of which type and verdict already: theirs are not unique.
    Rows of accounts that are not among ``accounts`` are dropped and counted, and so are opens and clicks of campaigns
    that were deleted. An event without a campaign belongs to no numbers.
    """
    known = [row.hit for row in rows if row.hit.account in accounts and not _forgotten(row.hit, contexts)]
    ids = event_ids([hit.occurred_at for hit in known])
    events = [_event(hit, contexts, identifier) for hit, identifier in zip(known, ids, strict=True)]
    counted_now = [event for event in events if event.campaign]
    message_counts = Counter(map(_count_key, counted_now))
    return Projection(
        old=mark,
        new=rows[-1].key,
        keys=[row.key for row in rows],
        events=events,
        message_counts=sorted(message_counts.items()),
        campaign_counts=_campaign_counts(counted_now, message_counts.keys() - set(counted)),
        dropped=len(rows) - len(known),
    )


def _forgotten(hit: Hit, contexts: Contexts) -> bool:
    context = contexts.get((hit.account, hit.message))
    return context is not None and context.deleted and hit.type in _OF_A_CAMPAIGN


def _event(hit: Hit, contexts: Contexts, identifier: bytes) -> ProjectedEvent:
    context = contexts.get((hit.account, hit.message))
    campaign = context if context and not context.deleted else None
    verdict = judge(event_type=hit.type, user_agent=hit.user_agent, prefetch=hit.prefetch, blocked=hit.blocked)
    client = describe(hit.user_agent)
    return ProjectedEvent(
        account_id=hit.account,
        id=identifier,
        revision=1,
        type=hit.type,
        occurred_at=hit.occurred_at,
        campaign=campaign.campaign if campaign else "",
        generation=campaign.generation if campaign else 0,
        topic=context.topic if context else None,
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
    totals: Counter[tuple[bytes, str, int, str, str]] = Counter()
    uniques: Counter[tuple[bytes, str, int, str, str]] = Counter()
    unseen = set(fresh)
    for event in events:
        key = (event.account_id, event.campaign, event.generation, event.type, event.verdict)
        totals[key] += 1
        if (count_key := _count_key(event)) in unseen:
            unseen.discard(count_key)
            uniques[key] += 1
    return [CampaignCount(*key, total, uniques[key]) for key, total in sorted(totals.items())]


def _count_key(event: ProjectedEvent) -> CountKey:
    return (event.account_id, event.message_id or b"", event.type, event.verdict)
