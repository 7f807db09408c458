"""A whole Tracker inside the test's own process, with its customers and its readers."""

import asyncio
import itertools
import re
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from httpx import ASGITransport, AsyncClient, Response

from tests.storage.databases import SECRETS, new_database
from tracker.app import App, create_app
from tracker.domain.keys import Key
from tracker.domain.links import Links
from tracker.settings import Settings
from tracker.storage.accounts import Accounts
from tracker.storage.api_keys import ApiKeys
from tracker.storage.installation import Files
from tracker.storage.keyfile import secrets_of, written_keys
from tracker.storage.shared import Place, place_of, prepare_place

BASE_URL = "https://t.example.com"
READER = "203.0.113.77"
EMAIL = "Ada.Lovelace@Example.com"
SHOP = "https://shop.example.com/?a=1&b=2#top"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SAFE = {"cache-control": "no-store", "referrer-policy": "no-referrer", "x-content-type-options": "nosniff"}


_POLL_S = 0.02
_END_THOSE_WHO_HOLD_LOCKS = """
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()
        and pid in (select pid from pg_locks where relation >= 16384)
"""
_IN_OTHER_WORDS = {
    r"\bx'([0-9a-f]*)'": r"'\\x\1'::bytea",
    r"\bmain\.": "",
    r"\browid\b": "ctid",
    r"\bhex\((\w+)\)": r"encode(\1, 'hex')",
    r"\brandomblob\(16\)": "uuid_send(gen_random_uuid())",
}
_KEYS = {number: Key(secret) for number, secret in SECRETS.items()}
_numbers = itertools.count(1)


def somebody() -> str:
    """The address of a person no test has written to yet."""
    return f"reader{next(_numbers)}@example.com"


def client_of(app: App, *, address: str = READER, **options: Any) -> AsyncClient:
    """A client whose requests come from this address; errors of the app become answers, as behind a server."""
    transport = ASGITransport(app, raise_app_exceptions=False, client=(address, 50_000))
    return AsyncClient(transport=transport, base_url=BASE_URL, timeout=10, **options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """A sending company, with its API key."""

    id: bytes
    key: str
    api: AsyncClient

    async def make(self, **wanted: Any) -> dict[str, Any]:
        """A message to :data:`EMAIL`, unless another is wanted."""
        html = f'<p><a href="{SHOP.replace("&", "&amp;")}">Shop</a></p>'
        given = {"campaign": "spring-sale", "recipient": {"email": EMAIL}, "html": html, **wanted}
        answer = await self.api.post("/v1/messages", json=given)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def events(self, **filters: Any) -> list[dict[str, Any]]:
        """The first hundred events, the oldest first."""
        answer = await self.api.get("/v1/events", params={"order": "asc", **filters})
        assert answer.status_code == 200, answer.text
        return list(answer.json()["data"])

    async def check(self, *recipients: str, **more: Any) -> list[dict[str, Any]]:
        """May these be written to?"""
        answer = await self.api.post("/v1/suppressions/check", json={"recipients": recipients, **more})
        assert answer.status_code == 200, answer.text
        return list(answer.json()["data"])

    async def may_write_to(self, recipient: str = EMAIL) -> bool:
        """Whether a check says so."""
        return bool((await self.check(recipient))[0]["allowed"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """An installation that is being served; ``reader`` is anybody out there."""

    app: App
    settings: Settings
    place: Place
    links: Links
    reader: AsyncClient

    @property
    def files(self) -> Files:
        """Its files, for a test of what happens to them."""
        if not isinstance(self.place, Files):
            pytest.skip("of files, which this installation has none of")
        return self.place

    async def customer(self, name: str = "Larkspur", scopes: Sequence[str] = ()) -> Customer:
        """A new account, with a key of these scopes, or of every one."""
        async with self.place.main_database() as database:
            account, key = await Accounts(database).create(name)
            if scopes:
                key = (await ApiKeys(database).create(account.id, "some", scopes)).written
        api = client_of(self.app, headers={"Authorization": f"Bearer {key}"})
        return Customer(id=account.id, key=key, api=api)

    def inbox(self, sql: str) -> list[tuple[Any, ...]]:
        """What a second program reads, or changes, in the inbox."""
        return _run(self.place.inbox, sql) if isinstance(self.place, Files) else _run_shared(self.settings, sql)

    def main(self, sql: str) -> list[tuple[Any, ...]]:
        """What a second program reads, or changes, in the main file."""
        return _run(self.place.main, sql) if isinstance(self.place, Files) else _run_shared(self.settings, sql)

    @property
    def shared(self) -> bool:
        """Whether it lies in a database of PostgreSQL."""
        return not isinstance(self.place, Files)

    def columns(self) -> list[tuple[Any, ...]]:
        """Every table of the main part with each of its columns."""
        if self.shared:
            return self.main(
                "select table_name, column_name from information_schema.columns where table_schema = 'public'"
                " order by table_name, ordinal_position"
            )
        return self.main(
            "select m.name, c.name from sqlite_master m, pragma_table_info(m.name) c order by m.name, c.cid"
        )

    def suppressions(self) -> int:
        """How many rows of suppressions there are."""
        return int(self.inbox("select count(*) from suppressions")[0][0])


@asynccontextmanager
async def serving(folder: Path, **options: Any) -> AsyncIterator[Served]:
    """Serve a new installation in this folder."""
    async with serving_at(f"sqlite:///{folder}/tracker.db", **options) as served:
        yield served


@asynccontextmanager
async def serving_on(database: str, folder: Path, **options: Any) -> AsyncIterator[Served]:
    """Serve a new installation in this folder, or in a database of PostgreSQL."""
    if database == "sqlite":
        async with serving(folder, **options) as served:
            yield served
        return
    async with new_database() as url, serving_at(url, secret_keys=written_keys(_KEYS), **options) as served:
        yield served


@asynccontextmanager
async def serving_at(url: str, **options: Any) -> AsyncIterator[Served]:
    """Serve a new installation."""
    settings = Settings(**{"database_url": url, "base_url": BASE_URL, "worker": "inline", **options})
    place = place_of(settings.database_url)
    keyring = (await prepare_place(place, secrets_of(settings.secret_keys))).keyring
    app = create_app(settings, keyring)
    async with app.router.lifespan_context(app), client_of(app, headers={"User-Agent": FIREFOX}) as reader:
        yield Served(app=app, settings=settings, place=place, links=Links(keyring), reader=reader)


async def until(condition: Callable[[], Awaitable[bool]], *, within_s: float = 10) -> None:
    """Wait for a state."""
    async with asyncio.timeout(within_s):
        while True:
            if await condition():
                return
            await asyncio.sleep(_POLL_S)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another process holds the database for writing."""
    with _connected(path) as connection:
        connection.execute("begin immediate")
        try:
            yield
        finally:
            connection.execute("rollback")


@contextmanager
def _connected(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


def _run(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with _connected(path) as connection:
        return connection.execute(sql).fetchall()


def _run_shared(settings: Settings, sql: str) -> list[tuple[Any, ...]]:
    """In a thread, since the test's own loop is at work; the words of SQLite that tests use are said in others."""
    for word, other in _IN_OTHER_WORDS.items():
        sql = re.sub(word, other, sql)
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, _asked(settings.database_url, sql)).result()


async def _asked(url: str, sql: str) -> list[tuple[Any, ...]]:
    connection: Any = await asyncpg.connect(url, server_settings={"lock_timeout": "300"})
    try:
        while True:
            try:
                return [tuple(row) for row in await connection.fetch(sql)]
            except asyncpg.LockNotAvailableError:
                # The loop of the app stands still meanwhile, perhaps in the middle of a transaction.
                await connection.execute(_END_THOSE_WHO_HOLD_LOCKS)
    finally:
        await connection.close()


def path_of(url: str) -> str:
    """The path of one of our links."""
    assert url.startswith(f"{BASE_URL}/"), url
    return url.removeprefix(BASE_URL)


def token_of(url: str) -> str:
    """The token in one of our links."""
    return path_of(url)[3:].removesuffix(".gif")


def click_of(made: dict[str, Any], number: int = 0) -> str:
    """The URL that the link of this number got in the HTML of a message."""
    urls = [part.partition('"')[0] for part in made["html"].split(f'href="{BASE_URL}/c/')[1:]]
    return f"{BASE_URL}/c/{urls[number]}"


def fields_of(answer: Response) -> str:
    """The header of an answer, but for the id that every answer has of its own, and what is left of a quota."""
    fields = answer.headers.copy()
    del fields["request-id"]
    if "ratelimit" in fields:
        del fields["ratelimit"]
    return str(fields)


def problem_of(answer: Response) -> str:
    """The name of the problem an answer ended in, which is well-formed."""
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["status"] == answer.status_code
    assert problem["title"]
    assert problem["detail"]
    start = f"{BASE_URL}/problems/"
    assert problem["type"].startswith(start)
    return str(problem["type"].removeprefix(start))


def pointers_of(answer: Response) -> list[str]:
    """Where a request that was understood is wrong."""
    assert answer.status_code == 422, answer.text
    assert problem_of(answer) == "invalid"
    errors = answer.json()["errors"]
    assert all(set(error) == {"pointer", "detail"} for error in errors)
    return [error["pointer"] for error in errors]


@dataclass(frozen=True, slots=True)
class Raw:
    """An answer as the app sent it, before any client interprets it; its id stands apart, since no two share one."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    request_id: str | None = field(default=None, compare=False)

    @property
    def fields(self) -> dict[str, str]:
        """The header fields; there is one of each."""
        names = [name for name, _ in self.headers]
        assert len(names) == len(set(names)), names
        return {name.decode(): value.decode("latin-1") for name, value in self.headers}


async def ask(
    app: App,
    method: str,
    path: str,
    *,
    query: bytes = b"",
    headers: Sequence[tuple[bytes, bytes]] = (),
    body: bytes = b"",
    client: tuple[str, int] | None = (READER, 50_000),
) -> Raw:
    """A request with exactly this path, these bytes of headers and this peer."""
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query,
        "headers": list(headers),
        "client": client,
        "server": ("t.example.com", 80),
    }
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    body_sent = b"".join(message.get("body", b"") for message in sent[1:])
    named = list(sent[0]["headers"])
    request_id = next((value.decode() for name, value in named if name == b"request-id"), None)
    return Raw(sent[0]["status"], [one for one in named if one[0] != b"request-id"], body_sent, request_id)
