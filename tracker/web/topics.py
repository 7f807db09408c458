"""The topics of an account, to look through, to announce and to clear away."""

import time
import unicodedata
from urllib.parse import quote, urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..domain.times import written_time
from ..storage.accounts import Account
from ..storage.topics import Topic, Topics
from .auth import Guard
from .bodies import KIB, read_json
from .cursors import Cursors
from .names import checked_name
from .parameters import single_parameters, whole_number
from .problems import Problem

_PATH = "/v1/topics"
_MOST_ROWS = 1_000
_QUESTION = b"topics"


class TopicIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing is to be said about a topic but its name, which stands in the path."""


class TopicOut(msgspec.Struct, frozen=True):
    """A topic, and how many messages were made about it since it is there."""

    name: str
    created_at: str
    messages: int


class TopicsApi:
    """``/v1/topics``."""

    def __init__(self, guard: Guard, topics: Topics, cursors: Cursors, base_url: str) -> None:
        self._guard = guard
        self._topics = topics
        self._cursors = cursors
        self._base_url = base_url

    def routes(self) -> list[Route]:
        """Its routes."""
        one = f"{_PATH}/{{topic}}"
        return [
            Route(_PATH, self.browse, methods=["GET"]),
            Route(one, self.read, methods=["GET"]),
            Route(one, self.put, methods=["PUT"]),
            Route(one, self.delete, methods=["DELETE"]),
        ]

    async def browse(self, request: Request) -> Response:
        """A page of the topics, in the order in which they were made."""
        account = await self._guard.admit(request, "events")
        given = single_parameters(request.query_params, ("cursor", "limit"))
        limit = whole_number("limit", given.get("limit", "100"), low=1, high=_MOST_ROWS)
        beyond = self._cursors.read(account.id, _QUESTION, given["cursor"]) if "cursor" in given else None
        topics = await self._topics.page(account.id, limit=limit + 1, beyond=beyond)
        if len(topics) <= limit:
            return _json({"data": [_shown(topic) for topic in topics], "next_cursor": None})
        del topics[limit:]
        cursor = self._cursors.write(account.id, _QUESTION, topics[-1].id)
        following = f"{self._base_url}{_PATH}?{urlencode({'limit': limit, 'cursor': cursor})}"
        content = {"data": [_shown(topic) for topic in topics], "next_cursor": cursor}
        return _json(content, headers={"Link": f'<{following}>; rel="next"'})

    async def read(self, request: Request) -> Response:
        """One topic."""
        account = await self._guard.admit(request, "events")
        single_parameters(request.query_params)
        return _json(_shown(await self._find(account, _name_in(request))))

    async def put(self, request: Request) -> Response:
        """201 for a new topic; 200 for one that is there already, which stays as it is."""
        account = await self._guard.admit(request, "account")
        single_parameters(request.query_params)
        name = checked_name("topic", request.path_params["topic"])
        if _has_body(request):
            await read_json(request, TopicIn, 256 * KIB)
        new = await self._topics.make(account.id, name, time.time_ns() // 1_000_000)
        content = _shown(await self._find(account, name))
        location = f"{self._base_url}{_PATH}/{quote(name, safe='')}"
        return _json(content, 201, {"Location": location}) if new else _json(content)

    async def delete(self, request: Request) -> Response:
        """204: it is no longer listed. Its messages, events and opt-outs stay, and the next message makes it anew."""
        account = await self._guard.admit(request, "account")
        single_parameters(request.query_params)
        if not await self._topics.delete(account.id, _name_in(request)):
            raise _unknown()
        return Response(status_code=204)

    async def _find(self, account: Account, name: str) -> Topic:
        topic = await self._topics.find(account.id, name)
        if topic is None:
            raise _unknown()
        return topic


def _name_in(request: Request) -> str:
    """The name in the path, in the form it is compared in."""
    return unicodedata.normalize("NFC", request.path_params["topic"])


def _has_body(request: Request) -> bool:
    return request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers


def _unknown() -> Problem:
    return Problem("not-found", "There is no such topic.")


def _shown(topic: Topic) -> TopicOut:
    return TopicOut(topic.name, written_time(topic.created_at), topic.messages)


def _json(content: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(content), status, headers, "application/json")
