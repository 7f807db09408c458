"""API keys of an account, made and revoked by the account itself."""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.responses import Response

from ..domain.ids import BadId, parse_account_id
from ..domain.times import Time, written_time
from ..storage.api_keys import MOST_KEYS, SCOPES, Access, ApiKey, ApiKeys, LastKey, TooManyKeys
from .answers import json_answer, next_link
from .bodies import KIB, JsonBody
from .cursors import Cursors
from .fields import Cursor, Limit, label, word
from .names import label_flaw
from .operations import Answer, Call, Endpoint, Operation, PathParameter
from .problems import Flaw, Problem, flawed

_PATH = "/v1/keys"
_QUESTION = b"keys"

KeyScope = Annotated[str, word(*SCOPES, description="What the key may do.")]


class KeyIn(msgspec.Struct, forbid_unknown_fields=True):
    """A key to be made."""

    name: Annotated[str, label("What the key is for.")]
    scopes: Annotated[list[KeyScope], Meta(description="Of those of the key that asks.", min_length=1, max_length=100)]


class KeysQuery(msgspec.Struct, frozen=True):
    """How the list is paged."""

    limit: Limit = 100
    cursor: Cursor | None = None


class KeyOut(msgspec.Struct, frozen=True, kw_only=True):
    """An API key, without its secret. ``id`` is what stands between the first two underscores of the key."""

    id: Annotated[str, Meta(description="16 hexadecimal digits: those after “trk_”.")]
    name: str
    scopes: Sequence[KeyScope]
    created_at: Time
    revoked_at: Annotated[Time, Meta(description="Since when it opens nothing.")] | None


class KeyMade(KeyOut, frozen=True, kw_only=True):
    """A key just made."""

    api_key: (
        Annotated[
            str,
            Meta(
                description="The key itself, shown this once: null when the call is sent again under its "
                "Idempotency-Key, for the server does not know it any more."
            ),
        ]
        | None
    )


class KeyPage(msgspec.Struct, frozen=True):
    """API keys, in the order in which they were made."""

    data: list[KeyOut]
    next_cursor: str | None


def _read_id(text: str) -> bytes:
    try:
        return parse_account_id(text)
    except BadId:
        raise _unknown() from None


_ID = PathParameter(
    name="id",
    description="The key's id: the 16 hexadecimal digits after “trk_”.",
    schema={"type": "string", "pattern": "^[0-9a-f]{16}$"},
    read=_read_id,
)
_SHOWN = {
    "id": "8f4e2a9c1b7d6035",
    "name": "mailer",
    "scopes": ["messages", "suppressions:read"],
    "created_at": "2026-11-22T10:00:00.000Z",
    "revoked_at": None,
}

_BROWSE = Operation(
    name="list_keys",
    subject="Account",
    method="GET",
    path=_PATH,
    scope="account",
    summary="List API keys",
    description="In the order in which they were made, the revoked ones too. No secret is shown: none is kept.",
    query=KeysQuery,
    answers=[
        Answer(
            status=200,
            description="A page of keys.",
            content=KeyPage,
            headers=["Link"],
            example={"data": [_SHOWN], "next_cursor": None},
        )
    ],
    problems=["bad-cursor"],
)

_CREATE = Operation(
    name="create_key",
    subject="Account",
    method="POST",
    path=_PATH,
    scope="account",
    effect="main",
    audit="key.created",
    summary="Make an API key",
    description=f"With scopes that the key which asks has itself. At most {MOST_KEYS} can be in use.",
    body=JsonBody(KeyIn, 256 * KIB, example={"name": "mailer", "scopes": ["messages", "suppressions:read"]}),
    answers=[
        Answer(
            status=201,
            description="The new key, which works at once and is shown this once.",
            content=KeyMade,
            headers=["Location"],
            example={**_SHOWN, "api_key": "trk_8f4e2a9c1b7d6035_..."},
        )
    ],
    problems=["too-many-keys"],
)

_READ = Operation(
    name="read_key",
    subject="Account",
    method="GET",
    path=f"{_PATH}/{{id}}",
    scope="account",
    summary="Read an API key",
    path_parameters=[_ID],
    answers=[Answer(status=200, description="The key, without its secret.", content=KeyOut, example=_SHOWN)],
    problems=["not-found"],
)

_REVOKE = Operation(
    name="revoke_key",
    subject="Account",
    method="DELETE",
    path=f"{_PATH}/{{id}}",
    scope="account",
    audit="key.revoked",
    summary="Revoke an API key",
    description="It opens nothing from the answer on, and stays in the list. A key may revoke itself, but not the last "
    "one of scope account, without which no other could be made.",
    path_parameters=[_ID],
    answers=[Answer(status=204, description="It is revoked, or was before.")],
    problems=["not-found", "last-key"],
)


class _Made(msgspec.Struct, frozen=True):
    """Which key a call made."""

    id: bytes


class KeysApi:
    """``/v1/keys``."""

    def __init__(self, keys: ApiKeys, cursors: Cursors, base_url: str) -> None:
        self._keys = keys
        self._cursors = cursors
        self._base_url = base_url

    def endpoints(self) -> list[Endpoint]:
        """Its part of the table."""
        return [
            Endpoint(_BROWSE, self.browse),
            Endpoint(_CREATE, self.create),
            Endpoint(_READ, self.read),
            Endpoint(_REVOKE, self.revoke),
        ]

    async def browse(self, call: Call[KeysQuery, None]) -> Response:
        """A page of the keys, in the order in which they were made."""
        keys, cursor = await self._page(call.account.id, call.query)
        link = next_link(f"{self._base_url}{_PATH}", call.request.query_params, cursor)
        return json_answer(KeyPage([KeyOut(**_shown(key)) for key in keys], cursor), headers=link)

    async def create(self, call: Call[None, KeyIn]) -> Response:
        """201 with the key, shown this once."""
        made = call.once.made(_Made)
        if made is not None:
            return self._made(await self._find(call.account.id, made.id), None)
        scopes = _checked_scopes(call.body, call.access)
        try:
            new = await self._keys.create_own(
                call.account.id, call.body.name, scopes, call.entry, lambda key: call.once.receipt(_Made(key.id))
            )
        except TooManyKeys:
            raise Problem("too-many-keys", f"This account has {MOST_KEYS} keys in use: revoke one first.") from None
        return self._made(new.key, new.written)

    def _made(self, key: ApiKey, written: str | None) -> Response:
        location = f"{self._base_url}{_PATH}/{key.id.hex()}"
        return json_answer(KeyMade(**_shown(key), api_key=written), 201, {"Location": location})

    async def read(self, call: Call[None, None]) -> Response:
        """One key, without its secret."""
        return json_answer(KeyOut(**_shown(await self._find(call.account.id, call.path["id"]))))

    async def revoke(self, call: Call[None, None]) -> Response:
        """204: it opens nothing from now on."""
        try:
            found = await self._keys.revoke_own(call.account.id, call.path["id"], call.entry)
        except LastKey:
            raise Problem("last-key", "No other key of this account has the scope account: make one first.") from None
        if not found:
            raise _unknown()
        return Response(status_code=204)

    async def _find(self, account: bytes, identifier: bytes) -> ApiKey:
        key = await self._keys.find(account, identifier)
        if key is None:
            raise _unknown()
        return key

    async def _page(self, account: bytes, query: KeysQuery) -> tuple[list[ApiKey], str | None]:
        beyond = self._cursors.read(account, _QUESTION, query.cursor) if query.cursor is not None else None
        keys = await self._keys.page(account, limit=query.limit + 1, beyond=beyond)
        if len(keys) <= query.limit:
            return keys, None
        keys.pop()
        return keys, self._cursors.write(account, _QUESTION, keys[-1].place)


def _checked_scopes(wanted: KeyIn, access: Access) -> list[str]:
    """Each once, in the order of the documents. Raises ``Problem``: 422, or 403 for one the asking key lacks."""
    flaws = [
        Flaw(f"#/scopes/{place}", f"must be one of {', '.join(SCOPES)}")
        for place, scope in enumerate(wanted.scopes)
        if scope not in SCOPES
    ]
    if flaw := label_flaw(wanted.name):
        flaws.insert(0, Flaw("#/name", flaw))
    if flaws:
        raise flawed(flaws)
    scopes = [scope for scope in SCOPES if scope in wanted.scopes]
    for scope in scopes:
        if scope not in access.scopes:
            detail = f"This API key lacks the scope {scope}, and can give no other key what it may not do itself."
            raise Problem("missing-scope", detail, scope=scope)
    return scopes


def _unknown() -> Problem:
    return Problem("not-found", "There is no such key.")


def _shown(key: ApiKey) -> dict[str, Any]:
    """The fields of a ``KeyOut``."""
    return {
        "id": key.id.hex(),
        "name": key.name,
        "scopes": key.scopes,
        "created_at": written_time(key.created_at),
        "revoked_at": written_time(key.revoked_at) if key.revoked_at is not None else None,
    }
