"""The audit trail of an account: who changed what, and who looked."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from starlette.responses import Response

from ..domain.audit import ACTIONS, AuditEntry
from ..domain.ids import BadId, Id, parse_account_id, written
from ..domain.times import BadTime, Time, parse_time, written_time
from ..storage.audit import AuditFilter, AuditTrail
from .answers import json_answer, next_link
from .cursors import Cursors
from .fields import Cursor, Limit, word
from .operations import Answer, Call, Endpoint, Operation
from .problems import Flaw, flawed

_PATH = "/v1/audit"
_ACTORS = ("key", "operator")

Action = Annotated[str, word(*ACTIONS, description="What was done.")]
KeyId = Annotated[
    str, Meta(description="What the API key of this id did.", extra_json_schema={"pattern": "^[0-9a-f]{16}$"})
]


class AuditQuery(msgspec.Struct, frozen=True):
    """The parameters of the trail."""

    action: Action | None = None
    actor: Annotated[str, word(*_ACTORS, description="What API keys did, or the operator.")] | None = None
    key: KeyId | None = None
    since: Annotated[Time, Meta(description="From this time on.")] | None = None
    until: Annotated[Time, Meta(description="Before this time.")] | None = None
    cursor: Cursor | None = None
    limit: Limit = 100


class Actor(msgspec.Struct, frozen=True):
    """Who did it: an API key, or the operator of the server, whose id is null."""

    type: Literal["key", "operator"]
    id: str | None


class Subject(msgspec.Struct, frozen=True):
    """What it was done to. A topic goes by its name; the id of what is no one thing is null."""

    type: str
    id: str | None


class AuditEntryOut(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody did."""

    id: Id
    occurred_at: Time
    actor: Actor
    action: Action
    subject: Subject


class AuditPage(msgspec.Struct, frozen=True):
    """Entries, and where the list goes on."""

    data: list[AuditEntryOut]
    next_cursor: str | None


_READ = Operation(
    name="read_audit",
    subject="Account",
    method="GET",
    path=_PATH,
    scope="account",
    audit="audit.read",
    summary="Read the audit trail",
    description="Who changed something of the account, and who looked into what identifies people; the newest first. "
    "Filters must all hold. An entry is stored together with what it tells, is never changed, and is kept for 400 "
    "days. It holds neither an address nor a secret. Reading the trail is an entry of it.",
    query=AuditQuery,
    answers=[
        Answer(
            status=200,
            description="A page of entries.",
            content=AuditPage,
            headers=["Link"],
            example={
                "data": [
                    {
                        "id": "01935f2e-8d20-7f3a-9c44-0b1d2e3f4a5b",
                        "occurred_at": "2026-11-22T10:00:00.000Z",
                        "actor": {"type": "key", "id": "8f4e2a9c1b7d6035"},
                        "action": "suppression.deleted",
                        "subject": {"type": "suppression", "id": "01935f2e-7c11-7cc2-b0f5-5d9f8ac7a9d1"},
                    }
                ],
                "next_cursor": None,
            },
        )
    ],
    problems=["bad-cursor"],
)


class AuditApi:
    """``/v1/audit``."""

    def __init__(self, trail: AuditTrail, cursors: Cursors, base_url: str) -> None:
        self._trail = trail
        self._cursors = cursors
        self._base_url = base_url

    def endpoints(self) -> list[Endpoint]:
        """Its part of the table."""
        return [Endpoint(_READ, self.read)]

    async def read(self, call: Call[AuditQuery, None]) -> Response:
        """A page of the entries that match the query, the newest first."""
        which = _filter(call.query)
        entries, cursor = await self._page(call.account.id, which, call.query)
        link = next_link(f"{self._base_url}{_PATH}", call.request.query_params, cursor)
        return json_answer(AuditPage([_shown(entry) for entry in entries], cursor), headers=link)

    async def _page(self, account: bytes, which: AuditFilter, query: AuditQuery) -> tuple[list[AuditEntry], str | None]:
        # What a cursor is bound to: every part of the question but where it goes on.
        question = msgspec.msgpack.encode(("audit", *msgspec.structs.astuple(which)))
        beyond = self._cursors.read(account, question, query.cursor) if query.cursor is not None else None
        entries = await self._trail.page(account, which, limit=query.limit + 1, beyond=beyond)
        if len(entries) <= query.limit:
            return entries, None
        entries.pop()
        return entries, self._cursors.write(account, question, entries[-1].id)


def _filter(query: AuditQuery) -> AuditFilter:
    """Raises ``Problem`` 422 with every flaw found."""
    flaws: list[Flaw] = []
    for name, words in (("action", ACTIONS), ("actor", _ACTORS)):
        given = getattr(query, name)
        if given is not None and given not in words:
            flaws.append(Flaw(f"#/{name}", f"must be one of {', '.join(words)}"))
    since, until = (_time(name, getattr(query, name), flaws) for name in ("since", "until"))
    key = _key(query.key, flaws)
    if flaws:
        raise flawed(flaws)
    by_operator = query.actor == "operator" if query.actor is not None else None
    return AuditFilter(action=query.action, key=key, by_operator=by_operator, since=since, until=until)


def _time(name: str, given: str | None, flaws: list[Flaw]) -> int | None:
    try:
        return parse_time(given) if given is not None else None
    except BadTime as error:
        flaws.append(Flaw(f"#/{name}", str(error)))
        return None


def _key(given: str | None, flaws: list[Flaw]) -> bytes | None:
    try:
        return parse_account_id(given) if given is not None else None
    except BadId:
        flaws.append(Flaw("#/key", "not a key's id: it has 16 hexadecimal digits"))
        return None


def _shown(entry: AuditEntry) -> AuditEntryOut:
    return AuditEntryOut(
        id=written(entry.id),
        occurred_at=written_time(entry.occurred_at),
        actor=Actor("operator", None) if entry.key is None else Actor("key", written(entry.key)),
        action=entry.action,
        subject=Subject(entry.kind, entry.subject),
    )
