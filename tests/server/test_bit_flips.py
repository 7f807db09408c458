"""A bit of a file changes while nobody looks: what comes of it is exact, or an error, or found by the inspection."""

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
from httpx import AsyncClient

from tests.web.serving import Customer, Served, client_of, path_of, serving, until
from tracker.storage.accounts import Accounts
from tracker.storage.installation import Files
from tracker.workers.inspection import Inspection

pytestmark = [pytest.mark.fault, pytest.mark.anyio]

_NAMES = ("north", "south")
_MESSAGES = 25
_FILES = ("tracker.db", "tracker.db.inbox")
_ERROR = "error"

Answers = dict[str, str]


class Asker(NamedTuple):
    """An account's key, and what it asks for. All that is its own holds its name."""

    name: str
    key: str
    messages: Sequence[str]
    recipients: Sequence[str]

    @property
    def other(self) -> str:
        """The word that stands in all that belongs to the other account."""
        return next(name for name in _NAMES if name != self.name)


async def inhabited(folder: Path) -> list[Asker]:
    """An installation with two accounts, whose rows lie among each other."""
    async with serving(folder) as served:
        customers = [await served.customer(name) for name in _NAMES]
        made: dict[str, list[dict[str, Any]]] = {name: [] for name in _NAMES}
        for number in range(_MESSAGES):
            for name, customer in zip(_NAMES, customers, strict=True):
                made[name].append(await lived_with(served, customer, name, number))
        await until(lambda: all_projected(customers))
    return [
        Asker(name, customer.key, [m["id"] for m in made[name]], [m["recipient"]["email"] for m in made[name]])
        for name, customer in zip(_NAMES, customers, strict=True)
    ]


async def lived_with(served: Served, customer: Customer, name: str, number: int) -> dict[str, Any]:
    """A message that is opened and clicked, and every third time answered with an opt-out."""
    recipient = {"email": f"{name}{number}@example.com", "external_id": f"{name}{number}"}
    mail = await customer.make(recipient=recipient, campaign=name, topic=name)
    agent = {"user-agent": f"Mozilla/5.0 {name}{number}"}
    assert (await served.reader.get(path_of(mail["open_url"]), headers=agent)).status_code == 200
    assert (await served.reader.get(mail["html"].split('"')[1], headers=agent)).status_code == 302
    if number % 3 == 0:
        assert (await served.reader.post(path_of(mail["unsubscribe_url"]), headers=agent)).status_code == 200
    return mail


async def all_projected(customers: Sequence[Customer]) -> bool:
    """Whether every event is there."""
    wanted = 2 * _MESSAGES + len(range(0, _MESSAGES, 3))
    return all([len(await customer.events(limit=1000)) == wanted for customer in customers])


async def answers(api: AsyncClient, asker: Asker) -> Answers:
    """What the account is told, by question."""
    headers = {"Authorization": f"Bearer {asker.key}"}
    paths = (
        "/v1/events?limit=1000",
        "/v1/events?limit=1000&order=asc&type=clicked",
        f"/v1/events?limit=1000&campaign={asker.name}",
        f"/v1/events?limit=1000&topic={asker.name}",
        "/v1/events/feed?after=0&limit=1000",
        "/v1/suppressions",
        "/v1/suppressions/changes",
        "/v1/topics",
        *(f"/v1/messages/{message}" for message in asker.messages[::12]),
    )
    found = {path: await api.get(path, headers=headers) for path in paths}
    content = {"recipients": asker.recipients}
    found["check"] = await api.post("/v1/suppressions/check", headers=headers, json=content)
    return {path: answer.text if answer.status_code == 200 else _ERROR for path, answer in found.items()}


async def told(folder: Path, askers: Sequence[Asker]) -> list[Answers] | None:
    """What every account is told by a server that starts there; None if it refuses to."""
    try:
        async with serving(folder) as served, client_of(served.app) as api:
            return [await answers(api, asker) for asker in askers]
    except (ValueError, OSError):
        return None


async def inspected(folder: Path) -> bool:
    """Whether an inspection finds anything."""
    files = Files(folder / "tracker.db")
    async with files.main_database() as main, files.inbox_database() as inbox:
        inspection = Inspection({"main": main, "inbox": inbox}, Accounts(main))
        await inspection.turn()
    return inspection.damaged


def flip(folder: Path, chance: Random) -> None:
    """Change one bit of one file, among the bytes that hold anything."""
    file = folder / chance.choice(_FILES)
    content = bytearray(file.read_bytes())
    place = chance.choice([place for place, byte in enumerate(content) if byte])
    content[place] ^= 1 << chance.randrange(8)
    file.write_bytes(content)


def worst(askers: Sequence[Asker], expected: Sequence[Answers], found: Sequence[Answers] | None) -> str:
    """The worst that happened to anybody."""
    if found is None:
        return "refused to start"
    pairs = [
        (asker, question, answer, right[question])
        for asker, given, right in zip(askers, found, expected, strict=True)
        for question, answer in given.items()
        if answer != right[question]
    ]
    wrong = [(asker, question, answer, right) for asker, question, answer, right in pairs if answer != _ERROR]
    if any(asker.other in answer for asker, _, answer, _ in wrong):
        return "another's row"
    if any(q == "check" and a.count('"allowed":true') != right.count('"allowed":true') for _, q, a, right in wrong):
        return "a wrong check"
    return "a wrong row of its own" if wrong else "an error" if pairs else "exact"


@pytest.mark.parametrize("flips", [100, pytest.param(1_000, marks=pytest.mark.long)])
async def test_what_a_flipped_bit_does_to_others_is_found(tmp_path: Path, flips: int) -> None:
    """F14: where an account is told what is another's, or that it may write to who has left, an inspection finds it.

    What changes inside a row without an index over it is not found: SQLite keeps no sums of its pages.
    """
    (tmp_path / "good").mkdir()
    askers = await inhabited(tmp_path / "good")
    expected = await told(tmp_path / "good", askers)
    assert expected is not None
    assert _ERROR not in {answer for given in expected for answer in given.values()}
    assert not await inspected(tmp_path / "good")
    chance, came_of_it = Random(flips), Counter[tuple[str, str]]()
    for _ in range(flips):
        bad = Path(shutil.copytree(tmp_path / "good", tmp_path / "bad"))
        flip(bad, chance)
        verdict, seen = worst(askers, expected, await told(bad, askers)), "-"
        if verdict not in ("exact", "refused to start"):
            seen = "found" if await inspected(bad) else "not found"
        came_of_it[verdict, seen] += 1
        shutil.rmtree(bad)
    print(dict(came_of_it))
    assert came_of_it["another's row", "not found"] == 0
    assert came_of_it["a wrong check", "not found"] == 0
