"""When mails were really sent, as their mailer knows it."""

import asyncio
from collections.abc import Collection, Iterable, Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..domain.ids import BadId, parse_id
from ..domain.times import BadTime, parse_time
from ..storage.messages import Messages
from .auth import Guard
from .bodies import MIB, read_json
from .items import Items, read_item, text_in
from .parameters import single_parameters
from .problems import Flaw

# Times beyond these have no place in a calendar of four digits, whatever their offset.
_EARLIEST, _LATEST = parse_time("1970-01-01T00:00:00Z"), parse_time("9999-12-31T23:59:59.999Z")


class SentIn(msgspec.Struct, forbid_unknown_fields=True):
    """Messages that were sent."""

    messages: Items


class SentMessageIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One message, and when it was sent: an RFC 3339 time."""

    id: str
    sent_at: str


class Kept(msgspec.Struct, frozen=True, tag_field="status", tag="accepted"):
    """It is known now when this message was sent."""

    id: str


class Unknown(msgspec.Struct, frozen=True, tag_field="status", tag="unknown"):
    """There is no such message."""

    id: str


class Invalid(msgspec.Struct, frozen=True, tag_field="status", tag="invalid"):
    """What does not say of a message when it was sent, and why not; ``id`` is null when none was given."""

    id: str | None
    pointer: str
    detail: str


class _Sent(msgspec.Struct, frozen=True):
    """``message`` is None for what cannot be a message's id."""

    id: str
    message: bytes | None
    sent_at: int


class SentApi:
    """``/v1/messages/sent``."""

    def __init__(self, guard: Guard, messages: Messages) -> None:
        self._guard = guard
        self._messages = messages

    def routes(self) -> list[Route]:
        """Its routes."""
        return [Route("/v1/messages/sent", self.create, methods=["POST"])]

    async def create(self, request: Request) -> Response:
        """200 with an answer for each message in the order given; said twice, the last time holds."""
        account = await self._guard.admit(request, "messages")
        single_parameters(request.query_params)
        body = await read_json(request, SentIn, 2 * MIB)
        read = await asyncio.to_thread(_read_all, body.messages)
        sent = {one.message: one.sent_at for one in read if isinstance(one, _Sent) and one.message is not None}
        known = await self._messages.mark_sent(account.id, sent) if sent else set()
        content = await asyncio.to_thread(_answer, read, known)
        return Response(content, media_type="application/json")


def _read_all(raws: Sequence[msgspec.Raw]) -> list[_Sent | Invalid]:
    return [_read(raw, f"#/messages/{place}") for place, raw in enumerate(raws)]


def _read(raw: msgspec.Raw, pointer: str) -> _Sent | Invalid:
    given = read_item(raw, SentMessageIn, pointer)
    if isinstance(given, Flaw):
        return Invalid(text_in(raw, "id"), *given)
    try:
        sent_at = parse_time(given.sent_at)
    except BadTime as error:
        return Invalid(given.id, f"{pointer}/sent_at", str(error))
    if not _EARLIEST <= sent_at <= _LATEST:
        return Invalid(given.id, f"{pointer}/sent_at", "must lie in the years 1970 to 9999")
    return _Sent(given.id, _message_of(given.id), sent_at)


def _message_of(written_id: str) -> bytes | None:
    try:
        return parse_id(written_id)
    except BadId:
        return None


def _answer(read: Iterable[_Sent | Invalid], known: Collection[bytes]) -> bytes:
    data = [one if isinstance(one, Invalid) else _outcome(one, known) for one in read]
    return msgspec.json.encode({"data": data})


def _outcome(one: _Sent, known: Collection[bytes]) -> Kept | Unknown:
    return Kept(one.id) if one.message in known else Unknown(one.id)
