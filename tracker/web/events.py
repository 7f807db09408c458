"""Events, as a list to look through and as a feed to follow."""

from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..domain.events import Event
from ..domain.ids import parse_id
from ..storage.accounts import Account
from ..storage.events import Events
from ..workers.backlog import Backlog
from .auth import Guard
from .bodies import KIB, read_json
from .cursors import Cursors
from .event_questions import (
    LAST_SEQUENCE,
    MOST_ROWS,
    EventQuestion,
    EventSearch,
    question_of_query,
    question_of_search,
)
from .messages import lag_header
from .parameters import single_parameters, whole_number

_PATH = "/v1/events"


class EventsApi:
    """``/v1/events``: answers hold what was acknowledged before the question, or say how far behind they are."""

    def __init__(self, guard: Guard, events: Events, backlog: Backlog, cursors: Cursors, base_url: str) -> None:
        self._guard = guard
        self._events = events
        self._backlog = backlog
        self._cursors = cursors
        self._base_url = base_url

    def routes(self) -> list[Route]:
        """Its routes."""
        return [
            Route(_PATH, self.browse, methods=["GET"]),
            Route(f"{_PATH}/search", self.search, methods=["POST"]),
            Route(f"{_PATH}/feed", self.feed, methods=["GET"]),
        ]

    async def browse(self, request: Request) -> Response:
        """A page of the events that match the query, in the order of time."""
        account = await self._guard.admit(request, "events")
        question = question_of_query(request.query_params)
        events, cursor, headers = await self._page(account, question)
        if cursor is not None:
            query = [pair for pair in request.query_params.multi_items() if pair[0] != "cursor"]
            following = f"{self._base_url}{_PATH}?{urlencode([*query, ('cursor', cursor)])}"
            headers["Link"] = f'<{following}>; rel="next"'
        return _json({"data": events, "next_cursor": cursor}, headers)

    async def search(self, request: Request) -> Response:
        """As the list, asked in a body, where an address may stand."""
        account = await self._guard.admit(request, "events")
        single_parameters(request.query_params)
        question = question_of_search(await read_json(request, EventSearch, 256 * KIB))
        events, cursor, headers = await self._page(account, question)
        return _json({"data": events, "next_cursor": cursor}, headers)

    async def feed(self, request: Request) -> Response:
        """The changes above a sequence number, without gaps."""
        account = await self._guard.admit(request, "events")
        given = single_parameters(request.query_params, ("after", "limit"))
        after = whole_number("after", given.get("after", "0"), low=0, high=LAST_SEQUENCE)
        limit = whole_number("limit", given.get("limit", "100"), low=1, high=MOST_ROWS)
        headers = lag_header(await self._backlog.caught_up())
        events = await self._events.feed(account.id, after=after, limit=limit)
        return _json({"data": events, "next": events[-1].sequence if events else after}, headers)

    async def _page(self, account: Account, question: EventQuestion) -> tuple[list[Event], str | None, dict[str, str]]:
        beyond = None
        if question.cursor is not None:
            beyond = self._cursors.read(account.id, question.signature, question.cursor)
        headers = lag_header(await self._backlog.caught_up())
        events = await self._events.page(
            account.id,
            question.filter,
            limit=question.limit + 1,
            beyond=beyond,
            descending=question.descending,
        )
        if len(events) <= question.limit:
            return events, None, headers
        events.pop()
        cursor = self._cursors.write(account.id, question.signature, parse_id(events[-1].id))
        return events, cursor, headers


def _json(content: object, headers: dict[str, str]) -> Response:
    return Response(msgspec.json.encode(content), 200, headers, "application/json")
