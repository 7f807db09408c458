"""Events, as a list to look through and as a feed to follow."""

from dataclasses import replace
from typing import Annotated, Any

import msgspec
from starlette.responses import Response

from ..domain.events import ErasedEvent, Event
from ..storage.accounts import Account
from ..storage.events import Events
from ..workers.backlog import Backlog
from . import examples
from .answers import json_answer, next_link
from .bodies import KIB, JsonBody
from .cursors import Cursors
from .event_questions import (
    EventQuestion,
    EventSearch,
    EventsQuery,
    question_of_query,
    question_of_search,
)
from .fields import After, Limit
from .messages import lag_header
from .operations import Answer, Call, Endpoint, Operation

_PATH = "/v1/events"


_KINDS = [{"$ref": f"#/components/schemas/{kind.__name__}"} for kind in (Event, ErasedEvent)]

Change = Annotated[Any, msgspec.Meta(extra_json_schema={"anyOf": _KINDS})]
"""An event as it stands, or what is left of it."""


class FeedQuery(msgspec.Struct, frozen=True):
    """Where to go on."""

    after: After = 0
    limit: Limit = 100


class EventPage(msgspec.Struct, frozen=True):
    """Events, and where the list goes on."""

    data: list[Event]
    next_cursor: str | None


class EventLog(msgspec.Struct, frozen=True):
    """Changes of events, and what to ask for ``after`` next."""

    data: list[Change]
    next: int


_PAGE = Answer(
    status=200,
    description="A page of events.",
    content=EventPage,
    headers=["Link", "Tracker-Lag"],
    example={"data": [examples.EVENT], "next_cursor": None},
)

_BROWSE = Operation(
    name="list_events",
    subject="Events",
    method="GET",
    path=_PATH,
    scope="events",
    summary="List events",
    description="Each event once, in its latest revision, in the order of time. Filters must all hold. Only a "
    "null next_cursor is the end: where few of very many events match, a page may be short, or empty. The list holds "
    "what was acknowledged before the question; if that is not ready within a second, Tracker-Lag says how far behind "
    "it is.",
    query=EventsQuery,
    answers=[_PAGE],
    problems=["bad-cursor"],
)

_SEARCH = Operation(
    name="search_events",
    subject="Events",
    method="POST",
    path=f"{_PATH}/search",
    scope="events",
    audit="events.searched",
    summary="Search events",
    description="As the list, asked in a body, where an address may stand: an address never goes into a URL.",
    body=JsonBody(EventSearch, 256 * KIB, example={"email": "Ada@example.com", "type": ["opened", "clicked"]}),
    answers=[replace(_PAGE, headers=["Tracker-Lag"])],
    problems=["bad-cursor"],
)

_FEED = Operation(
    name="follow_events",
    subject="Events",
    method="GET",
    path=f"{_PATH}/feed",
    scope="events",
    summary="Follow events",
    description="Every change of the account in the order of its sequence, which starts at 1 and has no holes. Keep "
    "“next” and ask again with after set to it. Empty data means: nothing new yet. An event that was erased is of the "
    "type “erased” and holds nothing else, in each of its places and in one more at the end.",
    query=FeedQuery,
    answers=[
        Answer(
            status=200,
            description="What changed.",
            content=EventLog,
            headers=["Tracker-Lag"],
            example={"data": [examples.EVENT, examples.ERASED], "next": 3},
            parts=[ErasedEvent],
        )
    ],
)


class EventsApi:
    """``/v1/events``: answers hold what was acknowledged before the question, or say how far behind they are."""

    def __init__(self, events: Events, backlog: Backlog, cursors: Cursors, base_url: str) -> None:
        self._events = events
        self._backlog = backlog
        self._cursors = cursors
        self._base_url = base_url

    def endpoints(self) -> list[Endpoint]:
        """Its part of the table."""
        return [Endpoint(_BROWSE, self.browse), Endpoint(_SEARCH, self.search), Endpoint(_FEED, self.feed)]

    async def browse(self, call: Call[EventsQuery, None]) -> Response:
        """A page of the events that match the query, in the order of time."""
        page, headers = await self._page(call.account, question_of_query(call.query))
        link = next_link(f"{self._base_url}{_PATH}", call.request.query_params, page.next_cursor)
        return json_answer(page, headers={**headers, **link})

    async def search(self, call: Call[None, EventSearch]) -> Response:
        """As the list, asked in a body, where an address may stand."""
        page, headers = await self._page(call.account, question_of_search(call.body))
        return json_answer(page, headers=headers)

    async def feed(self, call: Call[FeedQuery, None]) -> Response:
        """The changes above a sequence number, without gaps."""
        after, limit = call.query.after, call.query.limit
        headers = lag_header(await self._backlog.caught_up())
        events = await self._events.feed(call.account.id, after=after, limit=limit)
        return json_answer(EventLog(events, events[-1].sequence if events else after), headers=headers)

    async def _page(self, account: Account, question: EventQuestion) -> tuple["EventPage", dict[str, str]]:
        beyond = None
        if question.cursor is not None:
            beyond = self._cursors.read(account.id, question.signature, question.cursor)
        headers = lag_header(await self._backlog.caught_up())
        events, reached = await self._events.page(
            account.id,
            question.filter,
            limit=question.limit,
            beyond=beyond,
            descending=question.descending,
        )
        if reached is None:
            return EventPage(events, None), headers
        return EventPage(events, self._cursors.write(account.id, question.signature, reached)), headers
