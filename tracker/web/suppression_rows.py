"""Suppressions row by row: listed, searched, added, deleted; and the log of what changed."""

import time
from collections.abc import Mapping
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..domain.addresses import InvalidAddress, address_key, canonical, read_address
from ..domain.ids import new_id, parse_id
from ..domain.suppressions import REASONS, Suppression, is_final
from ..storage.accounts import Account
from ..storage.suppression_changes import SuppressionChanges
from ..storage.suppression_rows import NewSuppression, SuppressionRows
from .auth import Guard
from .bodies import KIB, read_json
from .cursors import Cursors
from .event_questions import LAST_SEQUENCE
from .names import checked_name, text_flaw
from .parameters import single_parameters, whole_number
from .problems import Flaw, Problem, flawed, invalid
from .suppression_questions import (
    MOST_ROWS,
    BadWord,
    SuppressionQuestion,
    one_of,
    question_of_query,
)

_PATH = "/v1/suppressions"
_LONGEST_NOTE = 500


class SuppressionIn(msgspec.Struct, forbid_unknown_fields=True):
    """A row a customer gives; without a topic it is for the whole account."""

    email: str
    reason: str
    topic: str | None = None
    note: str | None = None


class SuppressionSearch(msgspec.Struct, forbid_unknown_fields=True):
    """Whose rows are looked for."""

    email: str


class SuppressionRowsApi:
    """``/v1/suppressions`` and what lies below it, but for the check."""

    def __init__(
        self,
        guard: Guard,
        rows: SuppressionRows,
        changes: SuppressionChanges,
        cursors: Cursors,
        base_url: str,
    ) -> None:
        self._guard = guard
        self._rows = rows
        self._changes = changes
        self._cursors = cursors
        self._base_url = base_url

    def routes(self) -> list[Route]:
        """Its routes."""
        return [
            Route(_PATH, self.collection, methods=["GET", "POST"]),
            Route(f"{_PATH}/search", self.search, methods=["POST"]),
            Route(f"{_PATH}/changes", self.changes, methods=["GET"]),
            Route(f"{_PATH}/{{id:uuid}}", self.row, methods=["GET", "DELETE"]),
        ]

    async def collection(self, request: Request) -> Response:
        """GET lists, POST adds."""
        return await (self._add(request) if request.method == "POST" else self._browse(request))

    async def row(self, request: Request) -> Response:
        """GET shows one row, DELETE deletes it."""
        return await (self._delete(request) if request.method == "DELETE" else self._show(request))

    async def search(self, request: Request) -> Response:
        """Every row of an address, which may stand in a body alone; any spelling of it finds them."""
        account = await self._guard.admit(request, "suppressions:read")
        single_parameters(request.query_params)
        wanted = await read_json(request, SuppressionSearch, 256 * KIB)
        try:
            key = address_key(canonical(wanted.email), account.pepper)
        except InvalidAddress as error:
            raise invalid("#/email", str(error)) from None
        return _json({"data": await self._rows.of_address(account.id, key), "next_cursor": None})

    async def changes(self, request: Request) -> Response:
        """What was added and removed above a sequence number, without gaps."""
        account = await self._guard.admit(request, "suppressions:read")
        given = single_parameters(request.query_params, ("after", "limit"))
        after = whole_number("after", given.get("after", "0"), low=0, high=LAST_SEQUENCE)
        limit = whole_number("limit", given.get("limit", "100"), low=1, high=MOST_ROWS)
        changes = await self._changes.after(account.id, after, limit=limit)
        return _json({"data": changes, "next": changes[-1].sequence if changes else after})

    async def _browse(self, request: Request) -> Response:
        account = await self._guard.admit(request, "suppressions:read")
        rows, cursor = await self._page(account, question_of_query(request.query_params))
        headers = {}
        if cursor is not None:
            query = [pair for pair in request.query_params.multi_items() if pair[0] != "cursor"]
            following = f"{self._base_url}{_PATH}?{urlencode([*query, ('cursor', cursor)])}"
            headers["Link"] = f'<{following}>; rel="next"'
        return _json({"data": rows, "next_cursor": cursor}, headers=headers)

    async def _add(self, request: Request) -> Response:
        """201 with the new row, or 200 with the same row as it stands already."""
        account = await self._guard.admit(request, "suppressions:write")
        single_parameters(request.query_params)
        wanted = await read_json(request, SuppressionIn, 256 * KIB)
        row, new = await self._rows.add(_new_row(account, wanted))
        if not new:
            return _json(row)
        return _json(row, 201, {"Location": f"{self._base_url}{_PATH}/{row.id}"})

    async def _show(self, request: Request) -> Response:
        account = await self._guard.admit(request, "suppressions:read")
        single_parameters(request.query_params)
        return _json(await self._find(account, request.path_params["id"]))

    async def _delete(self, request: Request) -> Response:
        account = await self._guard.admit(request, "suppressions:write")
        single_parameters(request.query_params)
        row = await self._find(account, request.path_params["id"])
        if is_final(row):
            raise Problem("opt-out-is-final", "What a person said, and a complaint, cannot be deleted.")
        await self._rows.delete(account.id, parse_id(row.id), at=_now())
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
    if flaw := text_flaw(wanted.note or "", longest=_LONGEST_NOTE):
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


def _now() -> int:
    return time.time_ns() // 1_000_000


def _json(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(content), status, headers, "application/json")
