"""When mails were really sent, as their mailer knows it."""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Annotated

import msgspec
from starlette.responses import Response

from ..domain.ids import BadId, Id, parse_id
from ..domain.times import BadTime, Time, parse_time
from ..storage.messages import Messages
from .answers import json_content
from .bodies import MIB
from .items import FEW_ENOUGH, ItemsBody, read_item, shown_as, text_in
from .operations import Answer, Call, Endpoint, Operation
from .problems import Flaw

_EARLIEST = parse_time("1970-01-01T00:00:00Z")


class SentIn(msgspec.Struct, forbid_unknown_fields=True):
    """Messages that were sent."""

    messages: Annotated[list[Annotated[msgspec.Raw, shown_as("SentMessageIn")]], FEW_ENOUGH]


class SentMessageIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One message, and when it was sent: an RFC 3339 time."""

    id: Id
    sent_at: Time


class Kept(msgspec.Struct, frozen=True, tag_field="status", tag="accepted"):
    """It is known now when this message was sent."""

    id: str


class Unknown(msgspec.Struct, frozen=True, tag_field="status", tag="unknown"):
    """There is no such message."""

    id: str


class InvalidSent(msgspec.Struct, frozen=True, tag_field="status", tag="invalid"):
    """What does not say of a message when it was sent, and why not; ``id`` is null when none was given."""

    id: str | None
    pointer: str
    detail: str


class SentOutcome(msgspec.Struct, frozen=True):
    """An answer for each message, in the order given."""

    data: list[Kept | Unknown | InvalidSent]


_CREATE = Operation(
    name="mark_messages_sent",
    subject="Messages",
    method="POST",
    path="/v1/messages/sent",
    scope="messages",
    effect="main",
    bulk=True,
    summary="Say when mails were sent",
    description="Optional. A message that was not made a moment before it is sent is judged better when its time is "
    "known. Said again, the last time holds. No item fails the call.",
    body=ItemsBody(
        SentIn,
        2 * MIB,
        items="messages",
        parts=[SentMessageIn],
        example={"messages": [{"id": "01935f2e-7c11-7cc2-b0f5-5d9f8ac7a9d1", "sent_at": "2026-11-22T10:00:00Z"}]},
    ),
    answers=[
        Answer(
            status=200,
            description="An answer for each message, in the order given.",
            content=SentOutcome,
            example={"data": [{"status": "accepted", "id": "01935f2e-7c11-7cc2-b0f5-5d9f8ac7a9d1"}]},
        )
    ],
)


class _Sent(msgspec.Struct, frozen=True):
    """``message`` is None for what cannot be a message's id."""

    id: str
    message: bytes | None
    sent_at: int


class _Made(msgspec.Struct, frozen=True):
    """What came of a call: which messages there are not."""

    unknown: list[bytes]


class SentApi:
    """``/v1/messages/sent``."""

    def __init__(self, messages: Messages) -> None:
        self._messages = messages

    def endpoints(self) -> list[Endpoint]:
        """Its part of the table."""
        return [Endpoint(_CREATE, self.create)]

    async def create(self, call: Call[None, SentIn]) -> Response:
        """200 with an answer for each message in the order given; said twice, the last time holds."""
        read = await asyncio.to_thread(_read_all, call.body.messages)
        sent = {one.message: one.sent_at for one in read if isinstance(one, _Sent) and one.message is not None}
        made = call.once.made(_Made) or await self._mark(call, sent)
        return json_content(await asyncio.to_thread(_answer, read, sent.keys() - set(made.unknown)))

    async def _mark(self, call: Call[None, SentIn], sent: Mapping[bytes, int]) -> _Made:
        there = await self._messages.recipients_of(call.account.id, list(sent))
        made = _Made([message for message in sent if message not in there])
        known = {message: at for message, at in sent.items() if message in there}
        await self._messages.mark_sent(call.account.id, known, call.once.receipt(made))
        return made


def _read_all(raws: Sequence[msgspec.Raw]) -> list[_Sent | InvalidSent]:
    return [_read(raw, f"#/messages/{place}") for place, raw in enumerate(raws)]


def _read(raw: msgspec.Raw, pointer: str) -> _Sent | InvalidSent:
    given = read_item(raw, SentMessageIn, pointer)
    if isinstance(given, Flaw):
        return InvalidSent(text_in(raw, "id"), *given)
    try:
        sent_at = parse_time(given.sent_at)
    except BadTime as error:
        return InvalidSent(given.id, f"{pointer}/sent_at", str(error))
    if sent_at < _EARLIEST:
        return InvalidSent(given.id, f"{pointer}/sent_at", "must not lie before 1970")
    return _Sent(given.id, _message_of(given.id), sent_at)


def _message_of(written_id: str) -> bytes | None:
    try:
        return parse_id(written_id)
    except BadId:
        return None


def _answer(read: Iterable[_Sent | InvalidSent], known: Collection[bytes]) -> bytes:
    data = [one if isinstance(one, InvalidSent) else _outcome(one, known) for one in read]
    return msgspec.json.encode({"data": data})


def _outcome(one: _Sent, known: Collection[bytes]) -> Kept | Unknown:
    return Kept(one.id) if one.message in known else Unknown(one.id)
