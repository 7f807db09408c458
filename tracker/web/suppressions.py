"""May I write to these? Asked by the mailer before it sends."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from starlette.responses import Response

from ..domain.addresses import address_keys
from ..domain.times import written_time
from ..storage.suppressions import Standing, Suppressions
from .answers import json_content
from .bodies import MIB
from .fields import Topic
from .items import FEW_ENOUGH, ItemsBody, read_item
from .names import checked_name
from .operations import Answer, Call, Endpoint, Operation
from .problems import Flaw
from .tallies import Tally


class CheckQuestion(msgspec.Struct, forbid_unknown_fields=True):
    """Addresses to be written to; what is no address is answered as such, and never fails the call."""

    recipients: Annotated[list[msgspec.Raw], FEW_ENOUGH, msgspec.Meta(description="E-mail addresses.")]
    topic: Topic | None = None


class Checked(msgspec.Struct, frozen=True):
    """The answer about one address; ``recipient`` is null where what was given cannot be given back."""

    recipient: Any
    allowed: bool
    reason: str | None
    scope: str | None
    since: str | None


class CheckAnswer(msgspec.Struct, frozen=True):
    """An answer for each address, in the order given."""

    data: list[Checked]


_CHECK = Operation(
    name="check_suppressions",
    subject="Suppressions",
    method="POST",
    path="/v1/suppressions/check",
    scope="suppressions:read",
    bulk=True,
    summary="May these be written to?",
    description="Ask before each sending. An opt-out counts for every spelling of its address; with a topic, opt-outs "
    "from that topic count too. No item fails the call. When it cannot be told the answer is 503, and never “allowed”.",
    body=ItemsBody(
        CheckQuestion, 2 * MIB, items="recipients", example={"recipients": ["ada@example.com", "bob@example.com"]}
    ),
    answers=[
        Answer(
            status=200,
            description="An answer for each address, in the order given.",
            content=CheckAnswer,
            example={
                "data": [
                    {
                        "recipient": "ada@example.com",
                        "allowed": False,
                        "reason": "unsubscribed",
                        "scope": "account",
                        "since": "2026-11-22T10:00:00.000Z",
                    },
                    {"recipient": "bob@example.com", "allowed": True, "reason": None, "scope": None, "since": None},
                ]
            },
        )
    ],
)


class SuppressionsApi:
    """``/v1/suppressions``."""

    def __init__(self, suppressions: Suppressions, tally: Tally) -> None:
        self._suppressions = suppressions
        self._tally = tally

    def endpoints(self) -> list[Endpoint]:
        """Its part of the table."""
        return [Endpoint(_CHECK, self.check)]

    async def check(self, call: Call[None, CheckQuestion]) -> Response:
        """The addresses in the order given, each allowed or not; 503 when that cannot be told."""
        account, question = call.account, call.body
        topic = checked_name("topic", question.topic) if question.topic is not None else None
        # Ten thousand hashes would keep every pixel waiting.
        recipients = await asyncio.to_thread(_given, question.recipients)
        keys = await asyncio.to_thread(_keys, recipients, account.pepper)
        wanted = list({key for key in keys if key is not None})
        standings = await self._suppressions.matching(account.id, wanted, topic)
        content = await asyncio.to_thread(_answer, recipients, keys, standings)
        self._tally.checked.update(_counts(keys, standings))
        return json_content(content)


def _given(raws: Sequence[msgspec.Raw]) -> list[Any]:
    given = (read_item(raw, object, f"#/recipients/{place}") for place, raw in enumerate(raws))
    return [None if isinstance(one, Flaw) else one for one in given]


def _keys(recipients: Sequence[Any], pepper: bytes) -> list[bytes | None]:
    return address_keys([item if isinstance(item, str) else "" for item in recipients], pepper)


def _answer(recipients: Sequence[Any], keys: Sequence[bytes | None], standings: Mapping[bytes, Standing]) -> bytes:
    data = [
        _checked(recipient, key, standings.get(key) if key else None)
        for recipient, key in zip(recipients, keys, strict=True)
    ]
    return msgspec.json.encode({"data": data})


def _counts(keys: Sequence[bytes | None], standings: Mapping[bytes, Standing]) -> dict[str, int]:
    invalid = keys.count(None)
    suppressed = sum(map(standings.__contains__, keys)) if standings else 0
    return {"allowed": len(keys) - invalid - suppressed, "suppressed": suppressed, "invalid": invalid}


def _checked(recipient: Any, key: bytes | None, standing: Standing | None) -> Checked:
    if key is None:
        return Checked(recipient, False, "invalid", None, None)
    if standing is None:
        return Checked(recipient, True, None, None, None)
    return Checked(recipient, False, standing.reason, standing.scope, written_time(standing.since))
