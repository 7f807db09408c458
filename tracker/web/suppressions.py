"""May I write to these? Asked by the mailer before it sends."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..domain.addresses import address_keys
from ..domain.times import written_time
from ..storage.suppressions import Standing, Suppressions
from .auth import Guard
from .bodies import MIB, read_json
from .names import checked_name
from .parameters import single_parameters

_MOST_ADDRESSES = 10_000


class CheckQuestion(msgspec.Struct, forbid_unknown_fields=True):
    """Addresses to be written to; what is no address is answered as such, and never fails the call."""

    recipients: Annotated[list[Any], msgspec.Meta(max_length=_MOST_ADDRESSES)]
    topic: str | None = None


class Checked(msgspec.Struct, frozen=True):
    """The answer about one address."""

    recipient: Any
    allowed: bool
    reason: str | None
    scope: str | None
    since: str | None


class SuppressionsApi:
    """``/v1/suppressions``."""

    def __init__(self, guard: Guard, suppressions: Suppressions) -> None:
        self._guard = guard
        self._suppressions = suppressions

    def routes(self) -> list[Route]:
        """Its routes."""
        return [Route("/v1/suppressions/check", self.check, methods=["POST"])]

    async def check(self, request: Request) -> Response:
        """The addresses in the order given, each allowed or not; 503 when that cannot be told."""
        account = await self._guard.admit(request, "suppressions:read")
        single_parameters(request.query_params)
        question = await read_json(request, CheckQuestion, 2 * MIB)
        topic = checked_name("topic", question.topic) if question.topic is not None else None
        # Ten thousand hashes would keep every pixel waiting.
        keys = await asyncio.to_thread(_keys, question.recipients, account.pepper)
        wanted = list({key for key in keys if key is not None})
        standings = await self._suppressions.matching(account.id, wanted, topic)
        content = await asyncio.to_thread(_answer, question.recipients, keys, standings)
        return Response(content, media_type="application/json")


def _keys(recipients: Sequence[Any], pepper: bytes) -> list[bytes | None]:
    return address_keys([item if isinstance(item, str) else "" for item in recipients], pepper)


def _answer(recipients: Sequence[Any], keys: Sequence[bytes | None], standings: Mapping[bytes, Standing]) -> bytes:
    data = [
        _checked(recipient, key, standings.get(key) if key else None)
        for recipient, key in zip(recipients, keys, strict=True)
    ]
    return msgspec.json.encode({"data": data})


def _checked(recipient: Any, key: bytes | None, standing: Standing | None) -> Checked:
    if key is None:
        return Checked(recipient, False, "invalid", None, None)
    if standing is None:
        return Checked(recipient, True, None, None, None)
    return Checked(recipient, False, standing.reason, standing.scope, written_time(standing.since))
