"""The topics of an account, to look through, to announce and to clear away."""

import time
from dataclasses import replace
from urllib.parse import quote

import msgspec
from starlette.responses import Response

from ..domain.times import written_time
from ..storage.accounts import Account
from ..storage.topics import Topic, Topics
from .answers import json_answer, next_link
from .bodies import KIB, JsonBody
from .cursors import Cursors
from .fields import NAME_SCHEMA, Cursor, Limit
from .names import checked_name, name_to_find
from .operations import Answer, Call, Endpoint, Operation, PathParameter
from .problems import Problem

_PATH = "/v1/topics"
_QUESTION = b"topics"


class TopicIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing is to be said about a topic but its name, which stands in the path."""


class TopicsQuery(msgspec.Struct, frozen=True):
    """How the list is paged."""

    limit: Limit = 100
    cursor: Cursor | None = None


class TopicOut(msgspec.Struct, frozen=True):
    """A topic, and how many messages were made about it since it is there."""

    name: str
    created_at: str
    messages: int


class TopicPage(msgspec.Struct, frozen=True):
    """Topics, in the order in which they were made."""

    data: list[TopicOut]
    next_cursor: str | None


def _new_name(name: str) -> str:
    return checked_name("topic", name)


_NAME = PathParameter(name="topic", description="The topic's name, percent-encoded.", read=name_to_find)
_SHOWN = {"name": "offers", "created_at": "2026-11-22T10:00:00.000Z", "messages": 4}

_BROWSE = Operation(
    name="list_topics",
    subject="Topics",
    method="GET",
    path=_PATH,
    scope="events",
    summary="List topics",
    description="In the order in which they were made.",
    query=TopicsQuery,
    answers=[
        Answer(
            status=200,
            description="A page of topics.",
            content=TopicPage,
            headers=["Link"],
            example={"data": [_SHOWN], "next_cursor": None},
        )
    ],
    problems=["bad-cursor"],
)

_READ = Operation(
    name="read_topic",
    subject="Topics",
    method="GET",
    path=f"{_PATH}/{{topic}}",
    scope="events",
    summary="Read a topic",
    path_parameters=[_NAME],
    answers=[Answer(status=200, description="The topic.", content=TopicOut, example=_SHOWN)],
    problems=["not-found"],
)

_PUT = Operation(
    name="put_topic",
    subject="Topics",
    method="PUT",
    path=f"{_PATH}/{{topic}}",
    scope="account",
    audit="topic.created",
    summary="Announce a topic",
    description="The first message that names a topic makes it; this makes it before.",
    path_parameters=[replace(_NAME, schema=NAME_SCHEMA, read=_new_name)],
    body=JsonBody(TopicIn, 256 * KIB, required=False, example={}),
    answers=[
        Answer(status=200, description="It is there already, and stays as it is.", content=TopicOut, example=_SHOWN),
        Answer(status=201, description="It is new.", content=TopicOut, headers=["Location"], example=_SHOWN),
    ],
)

_DELETE = Operation(
    name="delete_topic",
    subject="Topics",
    method="DELETE",
    path=f"{_PATH}/{{topic}}",
    scope="account",
    audit="topic.deleted",
    summary="Clear a topic away",
    description="It is no longer listed. Messages, events and opt-outs keep its name, and the next message that names "
    "it makes it anew.",
    path_parameters=[_NAME],
    answers=[Answer(status=204, description="It is no longer listed.")],
    problems=["not-found"],
)


class TopicsApi:
    """``/v1/topics``."""

    def __init__(self, topics: Topics, cursors: Cursors, base_url: str) -> None:
        self._topics = topics
        self._cursors = cursors
        self._base_url = base_url

    def endpoints(self) -> list[Endpoint]:
        """Its part of the table."""
        return [
            Endpoint(_BROWSE, self.browse),
            Endpoint(_READ, self.read),
            Endpoint(_PUT, self.put),
            Endpoint(_DELETE, self.delete),
        ]

    async def browse(self, call: Call[TopicsQuery, None]) -> Response:
        """A page of the topics, in the order in which they were made."""
        topics, cursor = await self._page(call.account, call.query)
        link = next_link(f"{self._base_url}{_PATH}", call.request.query_params, cursor)
        return json_answer(TopicPage([_shown(topic) for topic in topics], cursor), headers=link)

    async def read(self, call: Call[None, None]) -> Response:
        """One topic."""
        return json_answer(_shown(await self._find(call.account, call.path["topic"])))

    async def put(self, call: Call[None, TopicIn | None]) -> Response:
        """201 for a new topic; 200 for one that is there already, which stays as it is."""
        name = call.path["topic"]
        new = await self._topics.make(call.account.id, name, time.time_ns() // 1_000_000, call.entry)
        content = _shown(await self._find(call.account, name))
        location = f"{self._base_url}{_PATH}/{quote(name, safe='')}"
        return json_answer(content, 201, {"Location": location}) if new else json_answer(content)

    async def delete(self, call: Call[None, None]) -> Response:
        """204: it is no longer listed. Its messages, events and opt-outs stay, and the next message makes it anew."""
        if not await self._topics.delete(call.account.id, call.path["topic"], call.entry):
            raise _unknown()
        return Response(status_code=204)

    async def _page(self, account: Account, query: TopicsQuery) -> tuple[list[Topic], str | None]:
        beyond = self._cursors.read(account.id, _QUESTION, query.cursor) if query.cursor is not None else None
        topics = await self._topics.page(account.id, limit=query.limit + 1, beyond=beyond)
        if len(topics) <= query.limit:
            return topics, None
        topics.pop()
        return topics, self._cursors.write(account.id, _QUESTION, topics[-1].id)

    async def _find(self, account: Account, name: str) -> Topic:
        topic = await self._topics.find(account.id, name)
        if topic is None:
            raise _unknown()
        return topic


def _unknown() -> Problem:
    return Problem("not-found", "There is no such topic.")


def _shown(topic: Topic) -> TopicOut:
    return TopicOut(topic.name, written_time(topic.created_at), topic.messages)
