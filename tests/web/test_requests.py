"""Each request has an id of our own, and leaves a line in the log that holds nothing it sent."""

import asyncio
import logging
import re
from collections.abc import Mapping
from typing import Any

import pytest

from tests.web.serving import Customer, Served, ask, click_of, path_of
from tracker.domain.ids import written
from tracker.web.requests import Requests, current_request
from tracker.web.tallies import Tally

pytestmark = pytest.mark.anyio

UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


@pytest.fixture(autouse=True)
def _all_that_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "tracker")


def answered(caplog: pytest.LogCaptureFixture) -> list[Mapping[str, Any]]:
    """What the log tells of the requests so far."""
    return [record.__dict__ for record in caplog.records if record.name == "tracker.web.requests"]


async def test_every_answer_but_those_to_hits_carries_an_id(standing: Served, resident: Customer) -> None:
    """Pages and errors too; each its own."""
    made = await resident.make()
    answers = [
        await standing.reader.get("/"),
        await standing.reader.get("/nothing"),
        await standing.reader.post("/livez"),
        await standing.reader.get("/v1/events"),
        await resident.api.get("/v1/events"),
        await resident.api.post("/v1/messages", json={}),
        await standing.reader.get(made["unsubscribe_url"]),
    ]
    ids = [answer.headers["request-id"] for answer in answers]
    assert all(UUID7.fullmatch(one) for one in ids)
    assert len(set(ids)) == len(ids)
    for url in (made["open_url"], click_of(made)):
        for method in ("GET", "HEAD", "POST"):
            assert "request-id" not in (await standing.reader.request(method, url)).headers


async def test_id_is_never_one_that_was_sent(standing: Served) -> None:
    """What a stranger writes into a header stays out of the log, and no two requests share an id."""
    for name in (b"request-id", b"x-request-id"):
        answer = await ask(standing.app, "GET", "/livez", headers=[(name, b"mine")])
        assert UUID7.fullmatch(answer.request_id or "")


async def test_line_of_a_request_names_route_account_status_and_time(
    standing: Served, resident: Customer, caplog: pytest.LogCaptureFixture
) -> None:
    """The template of the route, never the path."""
    made = await resident.make()
    caplog.clear()
    await resident.api.get(f"/v1/messages/{made['id']}")
    await resident.api.post("/v1/suppressions/3f0c55e0-7c11-7001-8aa1-3f0c55e0d9b2/lift?x=y")
    await standing.reader.get("/v1/events")
    await standing.reader.get(made["unsubscribe_url"])
    lines = answered(caplog)
    assert [(line["levelname"], line["message"]) for line in lines] == [("INFO", "answered")] * 4
    assert [(line["route"], line["method"], line["status"]) for line in lines] == [
        ("/v1/messages/{id}", "GET", 200),
        ("/v1/suppressions/{id}/lift", "POST", 422),
        ("/v1/events", "GET", 401),
        ("/u/{token}", "GET", 200),
    ]
    assert all(0 < line["ms"] < 10_000 for line in lines)


async def test_what_machines_ask_all_day_is_logged_for_those_who_debug(
    standing: Served, caplog: pytest.LogCaptureFixture
) -> None:
    """Health checks and scanners would drown the rest; methods nobody knows are all one."""
    for method, path in (("GET", "/livez"), ("GET", "/readyz"), ("GET", "/.env"), ("BREW", "/pot")):
        await ask(standing.app, method, path)
    lines = answered(caplog)
    assert {line["levelname"] for line in lines} == {"DEBUG"}
    assert [(line["route"], line["method"]) for line in lines] == [
        ("/livez", "GET"),
        ("/readyz", "GET"),
        ("unmatched", "GET"),
        ("unmatched", "other"),
    ]


async def test_hits_are_never_logged(standing: Served, resident: Customer, caplog: pytest.LogCaptureFixture) -> None:
    """At no level: a line would say who read what."""
    made = await resident.make()
    caplog.clear()
    for path in (path_of(made["open_url"]), path_of(click_of(made)), "/o/x.gif", "/c/x"):
        for method in ("GET", "HEAD", "POST"):
            await ask(standing.app, method, path)
    assert answered(caplog) == []


async def test_account_and_id_are_known_wherever_the_request_is_worked_for() -> None:
    """In tasks and threads of it, each its own; and to nobody when it is over."""
    seen: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        request = current_request()
        assert request is not None
        request.account = written(bytes.fromhex(scope["path"]))
        await asyncio.sleep(0)
        known = await asyncio.to_thread(current_request)
        assert known is not None
        seen[scope["path"]] = (known.id, known.account)

    requests = Requests(app, Tally())
    paths = ["00000000000000a1", "00000000000000b2"]
    scopes = [{"type": "http", "method": "GET", "path": path} for path in paths]
    unused: Any = None
    await asyncio.gather(*(requests(scope, unused, unused) for scope in scopes))
    assert [seen[path][1] for path in paths] == paths
    assert seen[paths[0]][0] != seen[paths[1]][0]
    assert current_request() is None


async def test_account_is_that_of_the_key(standing: Served, caplog: pytest.LogCaptureFixture) -> None:
    """Also when the key may not do this; a request without a valid key has none."""
    known: list[tuple[str, str | None]] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:  # noqa: ARG002
            request = current_request()
            assert request is not None
            known.append((request.id, request.account))

    customer = await standing.customer(scopes=["messages"])
    log, listener = logging.getLogger("tracker.web.requests"), Listener()
    log.addHandler(listener)
    try:
        answers = [
            await customer.api.get("/v1/link-key"),
            await customer.api.get("/v1/events"),
            await standing.reader.get("/v1/events"),
        ]
    finally:
        log.removeHandler(listener)
    assert [answer.status_code for answer in answers] == [200, 403, 401]
    ours = written(customer.id)
    assert known == [
        (answer.headers["request-id"], account) for answer, account in zip(answers, (ours, ours, None), strict=True)
    ]


async def test_error_nobody_foresaw_is_logged_once_with_its_request(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    """The id in the answer leads to the place in the code."""
    customer = await served.customer()
    made = await customer.make()
    served.main("update messages set metadata = '{secret'")
    caplog.clear()
    assert (await customer.api.get(f"/v1/messages/{made['id']}")).status_code == 500
    failed, line = answered(caplog)
    assert (failed["levelname"], failed["message"], failed["route"]) == (
        "ERROR",
        "a request failed",
        "/v1/messages/{id}",
    )
    assert failed["exc_info"]
    assert (line["status"], line["route"]) == (500, "/v1/messages/{id}")
