"""What a long run needs: customers who ask for everything, and gauges that must stay flat."""

import asyncio
import json
import random
import statistics
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from tests.server.harness import Account, Server
from tests.server.ledger import Ledger
from tests.server.load import Client, address_of, new_name
from tests.server.stored import rows_of
from tests.server.wire import Answer, Connection, NoAnswer, NotSent, written_request

_LINES, _ASKED, _BATCH = 200, 1_000, 100
_PAUSE_S = 0.2
_MIB = 1 << 20


class Customer:
    """Asks for one thing after the other, as long as it is entered: batches, checks, lists, the feed, lists in and out.

    The feed must have no hole. An import that was answered is there whole, once.
    """

    def __init__(self, server: Server, account: Account, ledger: Ledger, *, seed: int) -> None:
        self._server = server
        self._account = account
        self._ledger = ledger
        self._chance = random.Random(seed)
        self._names: list[str] = []
        self._after = 0
        self.answers: Counter[tuple[str, int]] = Counter()
        self.imported: dict[str, bool] = {}
        """By its note, whether an import was answered."""

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.result()

    async def _run(self) -> None:
        deeds = (self._batch, self._check, self._list, self._follow, self._import, self._export)
        while True:
            await self._chance.choice(deeds)()
            await asyncio.sleep(_PAUSE_S)

    async def _batch(self) -> None:
        async with Client(self._server.port, self._ledger) as client:
            self._names += [mail.name for mail in await client.make_batch(self._account, _BATCH)]

    async def _check(self) -> None:
        names = self._chance.choices(self._names or ["nobody"], k=_ASKED)
        body = json.dumps({"recipients": [address_of(name) for name in names]}).encode()
        answer = await self._ask("POST", "/v1/suppressions/check", body)
        # Nobody of a batch ever leaves.
        assert answer is None or all(row["allowed"] for row in answer.json()["data"])

    async def _list(self) -> None:
        await self._ask("GET", "/v1/events?limit=1000")

    async def _follow(self) -> None:
        answer = await self._ask("GET", f"/v1/events/feed?after={self._after}&limit=1000")
        if answer is not None:
            page = answer.json()
            sequences = [event["sequence"] for event in page["data"]]
            assert sequences == list(range(self._after + 1, self._after + 1 + len(sequences))), "a hole in the feed"
            self._after = page["next"]

    async def _import(self) -> None:
        note = new_name("list")
        lines = (f"{address_of(new_name('row'))},manual,{note}\n" for _ in range(_LINES))
        self.imported[note] = False
        body = "".join(["email,reason,note\n", *lines]).encode()
        answer = await self._ask("POST", "/v1/suppressions/import", body, "text/csv")
        if answer is not None:
            assert answer.json()["added"] == _LINES, answer
            self.imported[note] = True

    async def _export(self) -> None:
        """To its end, which a stream in chunks says itself."""
        path, headers = "/v1/suppressions/export?format=ndjson", {**self._account.authorization, "connection": "close"}
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._server.port)
            writer.write(written_request("GET", path, headers, b""))
            content = await reader.read()
            writer.close()
            await writer.wait_closed()
        except OSError:
            content = b""
        ended = content.startswith(b"HTTP/1.1 200 ") and content.endswith(b"0\r\n\r\n")
        self.answers["GET /v1/suppressions/export", 200 if ended else 0] += 1

    async def _ask(
        self, method: str, path: str, body: bytes = b"", content_type: str = "application/json"
    ) -> Answer | None:
        """The answer if it is one. While something is broken there may be none, or one that says so."""
        headers = {**self._account.authorization, **({"content-type": content_type} if body else {})}
        route = f"{method} {path.partition('?')[0]}"
        try:
            async with Connection(self._server.port) as connection:
                answer = await connection.ask(method, path, headers=headers, body=body)
        except (NotSent, NoAnswer):
            self.answers[route, 0] += 1
            return None
        self.answers[route, answer.status] += 1
        assert answer.status in (200, 503), answer
        return answer if answer.status == 200 else None


def expect_imports_whole(server: Server, customers: Sequence[Customer]) -> None:
    """Every import that was answered has left all its rows; one that was not, no more than it has."""
    found = dict(rows_of(server.inbox, "select note, count(*) from suppressions where note is not null group by note"))
    answered = {note: yes for customer in customers for note, yes in customer.imported.items()}
    assert found.keys() <= answered.keys()
    assert {note for note, yes in answered.items() if yes and found.get(note) != _LINES} == set()
    assert max(found.values(), default=0) <= _LINES


class Reading(NamedTuple):
    """What the gauges show."""

    at: float
    values: Mapping[str, float]


class Allowance(NamedTuple):
    """By how much a gauge may grow from the beginning of what is judged to its end, and what it may never exceed."""

    growth: float
    most: float


ALLOWANCES: Mapping[str, Allowance] = {
    "server MiB": Allowance(growth=16, most=300),
    # It keeps a prepared statement for each number of rows up to 256 that it has stored at once. All of them together
    # take some 80 MiB, and the last of them comes late.
    "worker MiB": Allowance(growth=80, most=300),
    "server descriptors": Allowance(growth=4, most=200),
    "worker descriptors": Allowance(growth=4, most=50),
    "log of the main file MiB": Allowance(growth=8, most=64),
    "log of the inbox MiB": Allowance(growth=8, most=64),
    "rows of the journal": Allowance(growth=10_000, most=200_000),
}


class Gauges:
    """Reads memory, descriptors, logs and the journal once a second, as long as it is entered."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.readings: list[Reading] = []

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.result()

    def judged(self) -> dict[str, tuple[float, float, float]]:
        """For each gauge its median, its growth and its highest.

        The growth is the slope of the straight line with the least squares through all readings, times the time they
        cover: one peak makes no slope.
        """
        times = [reading.at for reading in self.readings]
        found = {}
        for name in ALLOWANCES:
            values = [reading.values[name] for reading in self.readings]
            slope = statistics.linear_regression(times, values).slope
            found[name] = (statistics.median(values), slope * (times[-1] - times[0]), max(values))
        return found

    async def _run(self) -> None:
        while True:
            values = self._read()
            if values is not None:
                self.readings.append(Reading(time.monotonic(), values))
            await asyncio.sleep(1)

    def _read(self) -> dict[str, float] | None:
        server, worker = self._server.pid, self._server.worker()
        if worker is None:
            return None
        return {
            "server MiB": _memory(server),
            "worker MiB": _memory(worker),
            "server descriptors": _descriptors(server),
            "worker descriptors": _descriptors(worker),
            "log of the main file MiB": _size(self._server.main),
            "log of the inbox MiB": _size(self._server.inbox),
            "rows of the journal": float(rows_of(self._server.inbox, "select count(*) from journal")[0][0]),
        }


def _memory(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))


def _descriptors(pid: int) -> float:
    return float(len(list(Path(f"/proc/{pid}/fd").iterdir())))


def _size(file: Path) -> float:
    return file.with_name(f"{file.name}-wal").stat().st_size / _MIB


def shown(judged: Mapping[str, tuple[Any, ...]]) -> str:
    """A line for each gauge."""
    return "\n".join(
        f"  {name:26} median {median:10.1f}   growth {growth:+10.1f}   most {most:10.1f}"
        for name, (median, growth, most) in judged.items()
    )
