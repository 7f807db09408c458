"""Storage fails while it is served: readers hardly notice, nothing is acknowledged, and it heals by itself."""

import asyncio
import logging
import time
from typing import Any

import pytest

from tests.web.serving import (
    EMAIL,
    SHOP,
    Customer,
    Raw,
    Served,
    ask,
    click_of,
    client_of,
    locked,
    path_of,
    serving,
    token_of,
    until,
)
from tracker.web.tracking import PIXEL

pytestmark = pytest.mark.anyio


async def until_stored(served: Served, made: dict[str, Any], *, stored: bool = True) -> None:
    """Ask for the pixel until it is stored again, or until it is not."""

    async def as_wanted() -> bool:
        return ((await served.reader.get(made["open_url"])).status_code == 200) == stored

    await until(as_wanted)


async def test_locked_inbox_heals_without_a_restart(served: Served, customer: Customer) -> None:
    """While another process holds it: 503 with the picture, links lead on, opt-outs are asked to come again."""
    made = await customer.make()
    pixel, click, way_out = (path_of(url) for url in (made["open_url"], click_of(made), made["unsubscribe_url"]))
    forged = [f"/o/{token}.gif" for token in ("x", "A" * 57, token_of(made["unsubscribe_url"]))]
    with locked(served.files.inbox):
        first = await ask(served.app, "GET", pixel)
        assert (first.status, first.body) == (503, PIXEL)
        began = time.monotonic()
        # Known to fail by now: nobody waits any more.
        pixels = [await ask(served.app, method, path) for path in (pixel, *forged) for method in ("GET", "HEAD")]
        clicks = [await ask(served.app, method, click) for method in ("GET", "HEAD", "GET")]
        out = await ask(served.app, "POST", way_out)
        assert time.monotonic() - began < 1
        assert pixels == [first] * len(pixels)
        assert [(one.status, one.fields["location"]) for one in clicks] == [(302, SHOP)] * 3
        assert out.status == 503
        assert int(out.fields["retry-after"]) > 0
        assert (await ask(served.app, "GET", way_out)).status == 200
        ready = await served.reader.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
        assert ready.json()["storage"].startswith("down since ")
        assert await customer.may_write_to(EMAIL)
    await until_stored(served, made)
    assert (await ask(served.app, "POST", way_out)).status == 200
    assert (await served.reader.get("/readyz")).json()["storage"] == "ok"
    kinds = [event["type"] for event in await customer.events()]
    # Both clicks were kept until they could be stored; no open that was answered 503 was.
    assert sorted(kinds) == ["clicked", "clicked", "opened", "unsubscribed"]


async def test_click_waits_a_quarter_of_a_second_at_most(served: Served, customer: Customer) -> None:
    """The first click that meets a locked inbox is led on, long before that is known to be locked."""
    made = await customer.make()
    with locked(served.files.inbox):
        began = time.monotonic()
        answer = await served.reader.get(click_of(made))
        took = time.monotonic() - began
    assert (answer.status_code, answer.headers["location"]) == (302, SHOP)
    # A quarter of a second: the database itself gives up after one.
    assert 0.2 < took < 0.9
    await until_stored(served, made)
    assert "clicked" in [event["type"] for event in await customer.events()]


async def test_locked_main_file_stops_no_reader(served: Served, customer: Customer) -> None:
    """Opens, clicks and opt-outs are taken, checks answered; what waits for it shows afterwards."""
    made = await customer.make()
    with locked(served.files.main):
        async with asyncio.timeout(1.9):
            assert (await served.reader.get(made["open_url"])).status_code == 200
            assert (await served.reader.get(click_of(made))).status_code == 302
            assert (await served.reader.post(made["unsubscribe_url"])).status_code == 200
            assert not await customer.may_write_to(EMAIL)

    async def projected() -> bool:
        return len(await customer.events()) == 3

    await until(projected)


async def test_full_journal_says_the_same_for_every_token(customer: Customer, served: Served) -> None:
    """Above its ceiling hits are turned away with the picture; links lead on, and opting out always works."""
    folder = served.files.main.parent / "small"
    folder.mkdir()
    async with serving(folder, journal_ceiling=1) as small:
        rook = await small.customer("Rook")
        made = await rook.make()
        with locked(small.files.main):
            await until_stored(small, made, stored=False)
            first = await ask(small.app, "GET", path_of(made["open_url"]))
            forged = await ask(small.app, "GET", "/o/forged.gif")
            headed = await ask(small.app, "HEAD", path_of(made["open_url"]))
            assert first == forged == headed == Raw(503, first.headers, PIXEL)
            assert (await small.reader.get(click_of(made))).headers["location"] == SHOP
            assert (await small.reader.post(made["unsubscribe_url"])).status_code == 200
            assert (await small.reader.get("/readyz")).json()["status"] == "degraded"
        await until_stored(small, made)


async def test_full_queue_is_an_answer(served: Served) -> None:
    """More than may wait for one commit are told so at once: overload is no crash."""
    folder = served.files.main.parent / "narrow"
    folder.mkdir()
    async with serving(folder, queue_limit=5) as narrow:
        made = await (await narrow.customer()).make()
        reader = client_of(narrow.app)
        with locked(narrow.files.inbox):
            answers = await asyncio.gather(*(reader.get(made["open_url"]) for _ in range(50)))
        assert {(answer.status_code, answer.content) for answer in answers} <= {(200, PIXEL), (503, PIXEL)}
        assert sum(answer.status_code == 503 for answer in answers) >= 44
        await until_stored(narrow, made)


async def test_no_log_line_holds_an_address_a_token_or_a_key(
    served: Served, customer: Customer, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """With everything logged, through good and bad times (B-22)."""
    with caplog.at_level(logging.DEBUG):
        made = await customer.make(recipient={"email": EMAIL, "external_id": "crm-canary"})
        urls = (made["open_url"], click_of(made), made["unsubscribe_url"], made["preferences_url"])
        for url in (*urls, *(f"{url}x" for url in urls)):
            for method in ("GET", "HEAD", "POST", "PUT"):
                await served.reader.request(method, url)
        await customer.check(EMAIL)
        await customer.api.post("/v1/events/search", json={"email": EMAIL})
        await customer.api.get("/v1/events", params={"email": EMAIL})
        await customer.api.post("/v1/messages", json={"campaign": "x", "recipient": {"email": f"{EMAIL}@"}})
        with locked(served.files.inbox):
            for url in urls[:3]:
                await served.reader.request("GET" if url != urls[2] else "POST", url)
        await until_stored(served, made)
        served.main("alter table events rename to elsewhere")
        assert (await customer.api.get("/v1/events", params={"external_id": "crm-canary"})).status_code == 503
    captured = capfd.readouterr()
    # The test's own client tells what it asks for.
    lines = [record.getMessage() for record in caplog.records if not record.name.startswith("http")]
    said = "\n".join((*lines, captured.out, captured.err)).lower()
    assert "storage does not take events" in said
    secrets = [
        EMAIL,
        EMAIL.partition("@")[0],
        customer.key,
        customer.key.split("_", 2)[2],
        "203.0.113.77",
        "crm-canary",
    ]
    secrets += [part for url in urls for part in token_of(url).split(".")]
    assert [one for one in secrets if one.lower() in said] == []
