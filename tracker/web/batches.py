"""Makes the links of up to ten thousand mails in one call, in which no recipient fails the others."""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

import msgspec
from starlette.responses import Response

from ..domain.addresses import Address, InvalidAddress, address_key, read_address
from ..domain.ids import new_id
from ..domain.links import Links
from ..storage.messages import Messages, NewMessage
from ..storage.suppressions import Standing, Suppressions
from . import examples
from .answers import json_content
from .bodies import MIB
from .fields import Campaign, Metadata, Topic
from .items import FEW_ENOUGH, ItemsBody, read_item, shown_as, text_in
from .links import MessageUrls
from .messages import MessageOut, RecipientIn, TrackingIn, shown_message
from .names import checked_name, external_id_flaw, metadata_flaws
from .operations import Answer, Call, Endpoint, Operation
from .problems import Flaw
from .senders import Senders


class BatchIn(msgspec.Struct, forbid_unknown_fields=True):
    """Messages to be made."""

    campaign: Campaign
    recipients: Annotated[list[Annotated[msgspec.Raw, shown_as("BatchRecipientIn")]], FEW_ENOUGH]
    topic: Topic | None = None
    tracking: TrackingIn = TrackingIn()


class BatchRecipientIn(RecipientIn, frozen=True, forbid_unknown_fields=True):
    """One recipient of a batch."""

    metadata: Metadata = msgspec.field(default_factory=dict)


class Accepted(MessageOut, frozen=True, kw_only=True, tag_field="status", tag="accepted"):
    """A message that was made."""


class Suppressed(msgspec.Struct, frozen=True, tag_field="status", tag="suppressed"):
    """Somebody who must not be written to."""

    email: str
    reason: str
    scope: str


class InvalidRecipient(msgspec.Struct, frozen=True, tag_field="status", tag="invalid"):
    """What is no recipient, and why not; ``email`` is null when none was given."""

    email: str | None
    pointer: str
    detail: str


class BatchOutcome(msgspec.Struct, frozen=True):
    """An answer for each recipient, in the order given."""

    data: list[Accepted | Suppressed | InvalidRecipient]


_CREATE = Operation(
    name="create_messages",
    subject="Messages",
    method="POST",
    path="/v1/messages/batch",
    scope="messages",
    effect="main",
    bulk=True,
    summary="Make the links of many mails",
    description="What belongs to all of them is said once. No recipient fails the call; the accepted messages are "
    "stored in one transaction before the answer.",
    body=ItemsBody(
        BatchIn,
        16 * MIB,
        items="recipients",
        parts=[BatchRecipientIn],
        example={"campaign": "spring-sale", "topic": "offers", "recipients": [{"email": "ada@example.com"}]},
    ),
    answers=[
        Answer(
            status=200,
            description="An answer for each recipient, in the order given.",
            content=BatchOutcome,
            example={"data": [{"status": "accepted", **examples.MESSAGE}]},
        )
    ],
    problems=["account-blocked", "account-limited"],
)


class _Candidate(msgspec.Struct, frozen=True):
    """A recipient of whom it is not yet known whether they may be written to."""

    wanted: BatchRecipientIn
    address: Address
    key: bytes


class _Made(msgspec.Struct, frozen=True):
    """What came of a call: for each valid recipient the id of the new message, or why there is none.

    ``created_at`` is Unix milliseconds.
    """

    created_at: int
    decisions: list[bytes | Standing]


class BatchApi:
    """``/v1/messages/batch``. What takes long is done in threads: no pixel waits for it."""

    def __init__(
        self, senders: Senders, messages: Messages, suppressions: Suppressions, links: Links, base_url: str
    ) -> None:
        self._senders = senders
        self._messages = messages
        self._suppressions = suppressions
        self._links = links
        self._base_url = base_url

    def endpoints(self) -> list[Endpoint]:
        """Its part of the table."""
        return [Endpoint(_CREATE, self.create, permit=self._senders.permit)]

    async def create(self, call: Call[None, BatchIn]) -> Response:
        """200 with an answer for each recipient in the order given; the messages are stored all or none.

        "Accepted" means "send", so nobody is who has been suppressed since, when the call is sent again.
        """
        account, batch = call.account, call.body
        batch.campaign = checked_name("campaign", batch.campaign)
        if batch.topic is not None:
            batch.topic = checked_name("topic", batch.topic)
        judged = await asyncio.to_thread(_judge_all, batch.recipients, account.pepper)
        made = await self._decide(account.id, judged, batch.topic, call.once.made(_Made))
        outcomes = await asyncio.to_thread(_outcomes, account.id, batch, judged, made)
        messages = [outcome for outcome in outcomes if isinstance(outcome, NewMessage)]
        if call.once.repeated:
            recipients = await self._messages.recipients_of(account.id, [message.id for message in messages])
        else:
            recipients = await self._senders.add(account, *messages, receipt=call.once.receipt(made))
        return json_content(await asyncio.to_thread(self._answer, outcomes, recipients))

    async def _decide(
        self,
        account: bytes,
        judged: Iterable["_Candidate | InvalidRecipient"],
        topic: str | None,
        earlier: _Made | None,
    ) -> _Made:
        keys = [one.key for one in judged if isinstance(one, _Candidate)]
        standings = await self._suppressions.matching(account, list(set(keys)), topic)
        return await asyncio.to_thread(_decide_all, keys, standings, earlier)

    def _answer(
        self, outcomes: Iterable[NewMessage | Suppressed | InvalidRecipient], recipients: Mapping[bytes, bytes]
    ) -> bytes:
        # One by one: the encoder would not let go of the interpreter before the last of ten thousand.
        encode = msgspec.json.Encoder().encode
        items = (
            encode(self._accepted(outcome, recipients.get(outcome.id)) if isinstance(outcome, NewMessage) else outcome)
            for outcome in outcomes
        )
        return b'{"data":[' + b",".join(items) + b"]}"

    def _accepted(self, new: NewMessage, recipient: bytes | None) -> Accepted:
        urls = MessageUrls(
            links=self._links,
            base_url=self._base_url,
            account=new.account,
            message=new.id,
            address_key=new.address_key,
        )
        return Accepted(**shown_message(new, recipient, urls))


def _judge_all(raws: Sequence[msgspec.Raw], pepper: bytes) -> list[_Candidate | InvalidRecipient]:
    return [_judge(raw, f"#/recipients/{place}", pepper) for place, raw in enumerate(raws)]


def _judge(raw: msgspec.Raw, pointer: str, pepper: bytes) -> _Candidate | InvalidRecipient:
    wanted = read_item(raw, BatchRecipientIn, pointer)
    if isinstance(wanted, Flaw):
        return _invalid(text_in(raw, "email"), wanted)
    if flaws := _flaws(wanted, pointer):
        return _invalid(wanted.email, flaws[0])
    try:
        address = read_address(wanted.email)
    except InvalidAddress as error:
        return _invalid(wanted.email, Flaw(f"{pointer}/email", str(error)))
    return _Candidate(wanted, address, address_key(address.canonical, pepper))


def _flaws(wanted: BatchRecipientIn, pointer: str) -> list[Flaw]:
    if flaw := external_id_flaw(wanted.external_id):
        return [Flaw(f"{pointer}/external_id", flaw)]
    return metadata_flaws(f"{pointer}/metadata", wanted.metadata)


def _invalid(email: str | None, flaw: Flaw) -> InvalidRecipient:
    return InvalidRecipient(email, flaw.pointer, flaw.detail)


def _decide_all(keys: Sequence[bytes], standings: Mapping[bytes, Standing], earlier: _Made | None) -> _Made:
    made = earlier or _Made(time.time_ns() // 1_000_000, [new_id() for _ in keys])
    decisions = [standings.get(key) or before for key, before in zip(keys, made.decisions, strict=True)]
    return _Made(made.created_at, decisions)


def _outcomes(
    account: bytes, batch: BatchIn, judged: Iterable[_Candidate | InvalidRecipient], made: _Made
) -> list[NewMessage | Suppressed | InvalidRecipient]:
    decisions = iter(made.decisions)
    return [
        one if isinstance(one, InvalidRecipient) else _outcome(account, batch, one, next(decisions), made.created_at)
        for one in judged
    ]


def _outcome(
    account: bytes, batch: BatchIn, one: _Candidate, decision: bytes | Standing, created_at: int
) -> NewMessage | Suppressed:
    if isinstance(decision, Standing):
        return Suppressed(one.wanted.email, decision.reason, decision.scope)
    return NewMessage(
        account=account,
        id=decision,
        address=one.address.identity,
        address_key=one.key,
        email=one.address.raw,
        external_id=one.wanted.external_id,
        campaign=batch.campaign,
        topic=batch.topic,
        metadata=one.wanted.metadata,
        opens=batch.tracking.opens,
        clicks=batch.tracking.clicks,
        created_at=created_at,
    )
