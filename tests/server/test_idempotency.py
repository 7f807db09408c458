"""Killed at any moment, while clients send each call again until it is answered: each is carried out once."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import pytest

from tests.server.expectations import expect_a_good_end
from tests.server.harness import Account, Server, broken, until
from tests.server.load import address_of, message_request, new_name
from tests.server.stored import rows_of
from tests.server.wire import Answer, Connection, NoAnswer, NotSent

pytestmark = [pytest.mark.fault, pytest.mark.anyio]

_PAUSE_S = 0.01


class Done(NamedTuple):
    """What a call was answered at last."""

    kind: str
    name: str
    answer: Answer

    @property
    def replayed(self) -> bool:
        """Whether it had been carried out by an earlier try."""
        return self.answer.headers.get("idempotent-replayed") == "true"


class Persistent:
    """Mailers that make messages and rows of suppressions, each under a key, and never give up on one."""

    def __init__(self, server: Server, account: Account, *, mailers: int = 8) -> None:
        self._port = server.port
        self._account = account
        self._mailers = mailers
        self._ended = False
        self.tries = 0
        self.done: list[Done] = []

    async def __aenter__(self) -> Self:
        self._group = asyncio.TaskGroup()
        await self._group.__aenter__()
        for _ in range(self._mailers):
            self._group.create_task(self._run())
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._ended = True
        await self._group.__aexit__(None, None, None)

    async def grows(self, by: int) -> None:
        """Wait until so many more calls are done."""
        wanted = len(self.done) + by
        await until(lambda: len(self.done) >= wanted, within_s=60, what="more calls")

    async def _run(self) -> None:
        async with Connection(self._port) as connection:
            while not self._ended:
                name = new_name("message")
                headers, body = message_request(self._account, name)
                await self._insist(connection, "message", name, "/v1/messages", headers, body)
                row = json.dumps({"email": f"no-{address_of(name)}", "reason": "manual"}).encode()
                await self._insist(connection, "suppression", name, "/v1/suppressions", headers, row)

    async def _insist(
        self, connection: Connection, kind: str, name: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> None:
        """As a client should: the same bytes under the same key, until there is an answer that is one."""
        keyed = {**headers, "idempotency-key": f'"{kind} {name}"'}
        while True:
            self.tries += 1
            try:
                answer = await connection.ask("POST", path, headers=keyed, body=body)
            except (NotSent, NoAnswer):
                await asyncio.sleep(_PAUSE_S)
                continue
            if answer.status not in (409, 503):
                self.done.append(Done(kind, name, answer))
                return
            await asyncio.sleep(_PAUSE_S)


def stored(server: Server) -> list[tuple[Any, ...]]:
    """Each message by its name, with its id in hexadecimal digits."""
    return rows_of(server.main, "select external_id, lower(hex(id)) from messages")


def expect_each_once(server: Server, done: list[Done]) -> None:
    """Every call was answered well; its effect is there once, and is the one the answer tells of."""
    assert {one.answer.status for one in done} == {201}, [one.answer for one in done if one.answer.status != 201][:3]
    told = {one.name: one.answer.json()["id"].replace("-", "") for one in done if one.kind == "message"}
    assert Counter(stored(server)) == Counter(told.items())
    rows = rows_of(server.inbox, "select count(*), count(distinct address_key) from suppressions")
    log = rows_of(server.inbox, "select count(*) from suppression_changes")
    made = sum(one.kind == "suppression" for one in done)
    assert (rows, log) == ([(made, made)], [(made,)])


@pytest.mark.parametrize("kills", [8, pytest.param(50, marks=pytest.mark.long)])
async def test_each_call_is_carried_out_once(tmp_path: Path, kills: int) -> None:
    """A10.8: whether it died before or after the commit, nobody could tell, and nobody needs to."""
    chance = random.Random(kills)
    async with Server(tmp_path / "data") as server:
        account = await server.create_account("north")
        async with Persistent(server, account) as mailers:
            for _ in range(kills):
                await mailers.grows(by=chance.randrange(10, 100))
                server.kill()
                await server.start()
            await mailers.grows(by=50)
        replayed = Counter(one.kind for one in mailers.done if one.replayed)
        print(
            f"{len(mailers.done)} calls in {mailers.tries} tries, of which {dict(replayed)} were done and not answered"
        )
        expect_each_once(server, mailers.done)
        assert replayed, "no kill came between a commit and its answer"
        await expect_a_good_end(server)


async def test_import_is_told_truthfully(tmp_path: Path) -> None:
    """A10.8: killed again and again between its slices, it goes on under its key, and no row is added or told twice."""
    count = 3_000
    body = "".join(f"{address_of(new_name('import'))}\n" for _ in range(count)).encode()
    async with Server(tmp_path / "data") as server:
        account = await server.create_account("north")
        headers = {**account.authorization, "content-type": "text/csv", "idempotency-key": '"one list"'}

        def added() -> int:
            return int(rows_of(server.inbox, "select count(*) from suppressions")[0][0])

        for _ in range(2):
            before = added()
            under_way = asyncio.create_task(server.ask("POST", "/v1/suppressions/import", headers=headers, body=body))
            await until(lambda seen=before: added() > seen, within_s=30, what="another slice")  # type: ignore[misc]
            server.kill()
            with pytest.raises((NoAnswer, NotSent)):
                await under_way
            await server.start()
        assert 0 < added() < count
        first = await server.ask("POST", "/v1/suppressions/import", headers=headers, body=body)
        again = await server.ask("POST", "/v1/suppressions/import", headers=headers, body=body)
        told = {"read": count, "added": count, "already": 0, "bad": 0, "errors": [], "errors_omitted": 0}
        assert (first.json(), first.headers.get("idempotent-replayed")) == (told, None)
        assert (again.body, again.headers["idempotent-replayed"]) == (first.body, "true")
        log = "select count(*), min(sequence), max(sequence) from suppression_changes"
        assert rows_of(server.inbox, log) == [(count, 1, count)]
        assert added() == count


async def test_receipts_kept_apart_are_caught(tmp_path: Path) -> None:
    """A10.8's control: killed between a message and its receipt, a server makes the message again."""
    async with Server(tmp_path / "data", program=broken("keeps-receipts-apart")) as server:
        account = await server.create_account("north")
        async with Persistent(server, account) as mailers:
            await mailers.grows(by=8)
            await until(lambda: len(stored(server)) > 8, within_s=30, what="a message without a receipt")
            server.kill()
            await server.start()
            await mailers.grows(by=16)
        with pytest.raises(AssertionError, match="Counter"):
            expect_each_once(server, mailers.done)
