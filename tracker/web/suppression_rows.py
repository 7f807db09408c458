"""Suppressions row by row: listed, searched, added, deleted; and the log of what changed."""

import time
from typing import Annotated
from uuid import UUID

import msgspec
from starlette.responses import Response

from ..domain.addresses import InvalidAddress, address_key, canonical, read_address
from ..domain.ids import new_id, parse_id, written
from ..domain.suppressions import LONGEST_NOTE, REASONS, Reason, Suppression, is_final
from ..storage.accounts import Account
from ..storage.suppression_changes import SuppressionChange, SuppressionChanges
from ..storage.suppression_rows import NewSuppression, SuppressionRows
from .answers import json_answer, next_link
from .bodies import KIB, JsonBody
from .cursors import Cursors
from .fields import After, Email, Limit, Topic, text
from .names import checked_name, text_flaw
from .operations import Answer, Call, Endpoint, Operation
from .problems import Flaw, Problem, flawed, invalid
from .suppression_questions import (
    SUPPRESSION_ID,
    BadWord,
    SuppressionQuestion,
    SuppressionsQuery,
    one_of,
    question_of_query,
)

_PATH = "/v1/suppressions"


class SuppressionIn(msgspec.Struct, forbid_unknown_fields=True):
    """A row a customer gives; without a topic it is for the whole account."""

    email: Email
    reason: Reason
    topic: Topic | None = None
    note: Annotated[str, text("Your own.", longest=LONGEST_NOTE)] | None = None


class SuppressionSearch(msgspec.Struct, forbid_unknown_fields=True):
    """Whose rows are looked for."""

    email: Email


class SuppressionChangesQuery(msgspec.Struct, frozen=True):
    """Where to go on."""

    after: After = 0
    limit: Limit = 100


class SuppressionPage(msgspec.Struct, frozen=True):
    """Suppressions, and where the list goes on."""

    data: list[Suppression]
    next_cursor: str | None


class SuppressionLog(msgspec.Struct, frozen=True):
    """Changes of suppressions, and what to ask for ``after`` next."""

    data: list[SuppressionChange]
    next: int


_SHOWN = {
    "id": "01935f2e-7c11-7cc2-b0f5-5d9f8ac7a9d1",
    "email": "Ada@Example.com",
    "reason": "manual",
    "scope": "topic",
    "topic": "offers",
    "origin": "customer",
    "note": "asked by phone",
    "message_id": None,
    "created_at": "2026-11-22T10:00:00.000Z",
}

_BROWSE = Operation(
    name="list_suppressions",
    subject="Suppressions",
    method="GET",
    path=_PATH,
    scope="suppressions:read",
    summary="List suppressions",
    description="The newest first. Filters must all hold.",
    query=SuppressionsQuery,
    answers=[
        Answer(
            status=200,
            description="A page of suppressions.",
            content=SuppressionPage,
            headers=["Link"],
            example={"data": [_SHOWN], "next_cursor": None},
        )
    ],
    problems=["bad-cursor"],
)

_ADD = Operation(
    name="add_suppression",
    subject="Suppressions",
    method="POST",
    path=_PATH,
    scope="suppressions:write",
    effect="inbox",
    audit="suppression.added",
    summary="Add a suppression",
    description="It holds from the answer on. Without a topic it is for the whole account. It makes no recipient and "
    "no event.",
    body=JsonBody(
        SuppressionIn,
        256 * KIB,
        example={"email": "Ada@Example.com", "reason": "manual", "topic": "offers", "note": "asked by phone"},
    ),
    answers=[
        Answer(status=200, description="The same row stands already.", content=Suppression, example=_SHOWN),
        Answer(status=201, description="The new row.", content=Suppression, headers=["Location"], example=_SHOWN),
    ],
)

_SEARCH = Operation(
    name="search_suppressions",
    subject="Suppressions",
    method="POST",
    path=f"{_PATH}/search",
    scope="suppressions:read",
    audit="suppressions.searched",
    summary="Find the suppressions of an address",
    description="Any spelling of the address finds them; there is one page.",
    body=JsonBody(SuppressionSearch, 256 * KIB, example={"email": "ada@example.com"}),
    answers=[
        Answer(
            status=200,
            description="Every row of the address.",
            content=SuppressionPage,
            example={"data": [_SHOWN], "next_cursor": None},
        )
    ],
)

_CHANGES = Operation(
    name="follow_suppressions",
    subject="Suppressions",
    method="GET",
    path=f"{_PATH}/changes",
    scope="suppressions:read",
    summary="Follow what is added and removed",
    description="Opt-outs of people included, in the order of a sequence that starts at 1 and has no holes. Keep "
    "“next” and ask again with after set to it. Of a row you deleted email and note are null.",
    query=SuppressionChangesQuery,
    answers=[
        Answer(
            status=200,
            description="What changed.",
            content=SuppressionLog,
            example={
                "data": [{"sequence": 42, "change": "added", "changed_at": "2026-11-22T10:00:00.000Z", **_SHOWN}],
                "next": 42,
            },
        )
    ],
)

_SHOW = Operation(
    name="read_suppression",
    subject="Suppressions",
    method="GET",
    path=f"{_PATH}/{{id:uuid}}",
    scope="suppressions:read",
    summary="Read a suppression",
    path_parameters=[SUPPRESSION_ID],
    answers=[Answer(status=200, description="The row.", content=Suppression, example=_SHOWN)],
    problems=["not-found"],
)

_DELETE = Operation(
    name="delete_suppression",
    subject="Suppressions",
    method="DELETE",
    path=f"{_PATH}/{{id:uuid}}",
    scope="suppressions:write",
    audit="suppression.deleted",
    summary="Delete a suppression",
    description="Never touches another row. What a person said themselves and every complaint are final.",
    path_parameters=[SUPPRESSION_ID],
    answers=[Answer(status=204, description="It is deleted.")],
    problems=["not-found", "opt-out-is-final"],
)


class _Made(msgspec.Struct, frozen=True):
    """Which row stands after a call, and whether the call made it."""

    id: bytes
    created_at: str
    new: bool


class SuppressionRowsApi:
    """``/v1/suppressions`` and what lies below it, but for the check."""

    def __init__(
        self,
        rows: SuppressionRows,
        changes: SuppressionChanges,
        cursors: Cursors,
        base_url: str,
    ) -> None:
        self._rows = rows
        self._changes = changes
        self._cursors = cursors
        self._base_url = base_url

    def endpoints(self) -> list[Endpoint]:
        """Its part of the table."""
        return [
            Endpoint(_BROWSE, self.browse),
            Endpoint(_ADD, self.add),
            Endpoint(_SEARCH, self.search),
            Endpoint(_CHANGES, self.changes),
            Endpoint(_SHOW, self.show),
            Endpoint(_DELETE, self.delete),
        ]

    async def search(self, call: Call[None, SuppressionSearch]) -> Response:
        """Every row of an address, which may stand in a body alone; any spelling of it finds them."""
        try:
            key = address_key(canonical(call.body.email), call.account.pepper)
        except InvalidAddress as error:
            raise invalid("#/email", str(error)) from None
        return json_answer(SuppressionPage(await self._rows.of_address(call.account.id, key), None))

    async def changes(self, call: Call[SuppressionChangesQuery, None]) -> Response:
        """What was added and removed above a sequence number, without gaps."""
        after = call.query.after
        changes = await self._changes.after(call.account.id, after, limit=call.query.limit)
        return json_answer(SuppressionLog(changes, changes[-1].sequence if changes else after))

    async def browse(self, call: Call[SuppressionsQuery, None]) -> Response:
        """A page of the rows that match the query, the newest first."""
        rows, cursor = await self._page(call.account, question_of_query(call.query))
        link = next_link(f"{self._base_url}{_PATH}", call.request.query_params, cursor)
        return json_answer(SuppressionPage(rows, cursor), headers=link)

    async def add(self, call: Call[None, SuppressionIn]) -> Response:
        """201 with the new row, or 200 with the same row as it stands already."""
        wanted, made = _new_row(call.account, call.body), call.once.made(_Made)
        if made is not None:
            row = await self._rows.find(call.account.id, made.id) or _gone(wanted, made)
            return self._added(row, new=made.new)
        row, new = await self._rows.add(wanted, call.entry, lambda row, new: call.once.receipt(_made(row, new)))
        return self._added(row, new=new)

    def _added(self, row: Suppression, *, new: bool) -> Response:
        if not new:
            return json_answer(row)
        return json_answer(row, 201, {"Location": f"{self._base_url}{_PATH}/{row.id}"})

    async def show(self, call: Call[None, None]) -> Response:
        """One row."""
        return json_answer(await self._find(call.account, call.path["id"]))

    async def delete(self, call: Call[None, None]) -> Response:
        """204, or 409 and nothing changed for a row that is final."""
        row = await self._find(call.account, call.path["id"])
        if is_final(row):
            raise Problem("opt-out-is-final", "What a person said, and a complaint, cannot be deleted.")
        await self._rows.delete(call.account.id, parse_id(row.id), call.entry, at=_now())
        return Response(status_code=204)

    async def _find(self, account: Account, identifier: UUID) -> Suppression:
        row = await self._rows.find(account.id, identifier.bytes)
        if row is None:
            raise Problem("not-found", "There is no such suppression.")
        return row

    async def _page(self, account: Account, question: SuppressionQuestion) -> tuple[list[Suppression], str | None]:
        beyond = None
        if question.cursor is not None:
            beyond = self._cursors.read(account.id, question.signature, question.cursor)
        rows = await self._rows.page(account.id, question.filter, limit=question.limit + 1, beyond=beyond)
        if len(rows) <= question.limit:
            return rows, None
        rows.pop()
        return rows, self._cursors.write(account.id, question.signature, parse_id(rows[-1].id))


def _new_row(account: Account, wanted: SuppressionIn) -> NewSuppression:
    """Raises ``Problem`` 422."""
    flaws = []
    if flaw := text_flaw(wanted.note or "", longest=LONGEST_NOTE):
        flaws.append(Flaw("#/note", flaw))
    try:
        one_of(REASONS, wanted.reason)
    except BadWord as error:
        flaws.append(Flaw("#/reason", str(error)))
    try:
        address = read_address(wanted.email)
    except InvalidAddress as error:
        raise flawed([Flaw("#/email", str(error)), *flaws]) from None
    if flaws:
        raise flawed(flaws)
    return NewSuppression(
        account_id=account.id,
        address_key=address_key(address.canonical, account.pepper),
        scope="topic" if wanted.topic is not None else "account",
        topic=checked_name("topic", wanted.topic) if wanted.topic is not None else "",
        reason=wanted.reason,
        created_at=_now(),
        id=new_id(),
        email=address.raw,
        note=wanted.note,
    )


def _made(row: Suppression, new: bool) -> _Made:
    return _Made(parse_id(row.id), row.created_at, new)


def _gone(wanted: NewSuppression, made: _Made) -> Suppression:
    """A row that was deleted since: what was written in it went with it."""
    return Suppression(
        id=written(made.id),
        email=None,
        reason=wanted.reason,
        scope=wanted.scope,
        topic=wanted.topic or None,
        origin=wanted.origin,
        note=None,
        message_id=None,
        created_at=made.created_at,
    )


def _now() -> int:
    return time.time_ns() // 1_000_000
