"""Whether it lives is one question; whether it should be sent traffic another."""

import asyncio
import re
import time
from typing import Any

import pytest

from tests.web.serving import SAFE, Customer, Served, locked, until
from tracker.domain.times import parse_time

pytestmark = pytest.mark.anyio


async def state_of(served: Served) -> dict[str, Any]:
    """What /readyz says, with 200."""
    answer = await served.reader.get("/readyz")
    assert answer.status_code == 200
    return dict(answer.json())


async def test_all_is_well(served: Served) -> None:
    """Both answer 200 without a key, for no cache."""
    for path, body in (
        ("/livez", {"status": "ok"}),
        ("/readyz", {"status": "ok", "storage": "ok", "projector_lag_seconds": 0.0}),
    ):
        answer = await served.reader.get(path)
        assert (answer.status_code, answer.json()) == (200, body)
        assert answer.headers["content-type"] == "application/json"
        assert SAFE.items() <= dict(answer.headers).items()
        assert (await served.reader.head(path)).status_code == 200
        refused = await served.reader.post(path)
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")


async def test_not_ready_while_draining(served: Served) -> None:
    """A balancer is told to send new readers elsewhere, while those here are answered."""
    served.app.drain()
    answer = await served.reader.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (503, "degraded")
    assert (await served.reader.get("/livez")).status_code == 200


async def test_lag_is_the_age_of_what_is_not_yet_projected(served: Served, customer: Customer) -> None:
    """It grows while the projector stands, and is 0 again when all is done."""
    made = await customer.make()
    with locked(served.files.main):
        await served.reader.get(made["open_url"])

        async def older_than(seconds: float) -> bool:
            return bool((await state_of(served))["projector_lag_seconds"] > seconds)

        await until(lambda: older_than(0))
        lag_s = (await state_of(served))["projector_lag_seconds"]
        await until(lambda: older_than(lag_s))
        assert (await state_of(served))["storage"] == "ok"

    async def done() -> bool:
        return bool((await state_of(served))["projector_lag_seconds"] == 0)

    await until(done)


async def test_ready_while_storage_is_down(served: Served) -> None:
    """Redirects do not need it, and no other process would do better: 200, degraded, since when."""
    served.main("alter table projection rename to elsewhere")
    state = await state_of(served)
    assert state["status"] == "degraded"
    assert re.fullmatch(r"down since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", state["storage"])
    assert state["projector_lag_seconds"] is None
    assert (await state_of(served))["storage"] == state["storage"]
    served.main("alter table elsewhere rename to projection")
    await until(lambda: is_well(served))


async def is_well(served: Served) -> bool:
    """Whether there is nothing to complain of."""
    return await state_of(served) == {"status": "ok", "storage": "ok", "projector_lag_seconds": 0.0}


def since(state: dict[str, Any]) -> int:
    """Since when storage is down, in Unix milliseconds."""
    assert state["status"] == "degraded"
    assert state["storage"].startswith("down since "), state
    return parse_time(state["storage"].removeprefix("down since "))


def now() -> int:
    return time.time_ns() // 1_000_000


async def test_storage_is_down_since_the_first_failure(served: Served, customer: Customer) -> None:
    """Not since somebody looked: an operator compares it with other logs."""
    made = await customer.make()
    began = now()
    with locked(served.files.inbox):
        assert (await served.reader.get(made["open_url"])).status_code == 503
        failed = now()
        await asyncio.sleep(0.05)
        first = since(await state_of(served))
        assert began <= first <= failed
        assert since(await state_of(served)) == first
    await until(lambda: is_well(served))


async def test_main_file_that_another_program_holds_is_told_while_nobody_reads_a_mail(served: Served) -> None:
    """No message could be made; nothing is behind, and nothing else fails."""
    began = now()
    with locked(served.files.main):

        async def is_told() -> bool:
            return bool((await state_of(served))["status"] == "degraded")

        await until(is_told, within_s=5)
        state = await state_of(served)
        assert began - 1_000 < since(state) <= now()
        assert state["projector_lag_seconds"] == 0
    await until(lambda: is_well(served))


async def test_damage_is_told(served: Served) -> None:
    """F14: an inspection is under way from the start; what it finds holds until the next."""
    assert "inspection" in {task.get_name() for task in asyncio.all_tasks()}
    assert await is_well(served)
    account = "insert into accounts (id, name, pepper, sequence, created_at) values (x'01', 'north', x'02', 0, 0)"
    recipient = "values (x'01', x'03', 'ada@example.com', x'04', 0)"
    served.main(account)
    served.main(f"insert into recipients (account_id, id, address, address_key, created_at) {recipient}")
    await served.app._health._inspection.turn()
    state = await state_of(served)
    assert (state["status"], state["storage"]) == ("degraded", "ok")
