"""``/metrics``: for those who watch over the server, about nobody in particular, and also when storage is down."""

import asyncio
import re
import signal
import time
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.server.harness import Server
from tests.storage.faults import files_can_grow_no_more
from tests.web.serving import (
    EMAIL,
    SAFE,
    Customer,
    Served,
    ask,
    click_of,
    client_of,
    fields_of,
    locked,
    serving,
    until,
)
from tracker.domain.ids import written
from tracker.domain.times import parse_time, written_time

pytestmark = pytest.mark.anyio

DOCUMENT = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text("utf-8")
TOKEN = "a-token-of-some-length"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW")

NEAR = ["127.0.0.1", "127.8.9.1", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.7.7"]
NEAR += ["::1", "fd00::7", "::ffff:10.1.2.3"]
FAR = ["203.0.113.77", "8.8.8.8", "172.15.0.1", "172.32.0.1", "192.167.1.1", "100.64.0.1", "169.254.169.254", "0.0.0.0"]
FAR += ["2001:db8::1", "fe80::1", "::ffff:8.8.8.8", "not an address", ""]

Samples = Mapping[str, Mapping[tuple[tuple[str, str], ...], float]]


def samples_of(text: str) -> Samples:
    """The samples by their name and their labels."""
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = tuple(sorted(sample.labels.items()))
            assert labels not in found.setdefault(sample.name, {}), sample
            found[sample.name][labels] = sample.value
    return found


async def scrape(served: Served) -> Samples:
    """What a Prometheus on the same machine gets."""
    async with client_of(served.app, address="127.0.0.1") as near:
        answer = await near.get("/metrics")
    assert answer.status_code == 200
    return samples_of(answer.text)


async def value_of(served: Served, name: str, **labels: str) -> float:
    """One sample."""
    return (await scrape(served))[name][tuple(sorted(labels.items()))]


@pytest.mark.parametrize("address", NEAR)
async def test_loopback_and_private_networks_are_answered(standing: Served, address: str) -> None:
    """As text that Prometheus reads; HEAD has no body, and other methods are not allowed."""
    async with client_of(standing.app, address=address) as near:
        answer = await near.get("/metrics")
        headed = await near.head("/metrics")
        posted = await near.post("/metrics")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert SAFE.items() <= dict(answer.headers).items()
    assert "tracker_build_info" in samples_of(answer.text)
    assert (headed.status_code, headed.content) == (200, b"")
    assert (posted.status_code, posted.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("address", FAR)
async def test_for_everybody_else_there_is_nothing(standing: Served, resident: Customer, address: str) -> None:
    """The very answer of a path that leads nowhere, for each method and whatever is sent along."""
    keys = (f"Bearer {resident.key}", "Bearer None", "Bearer", "")
    async with client_of(standing.app, address=address) as far:
        for method in METHODS:
            for headers in ({"Authorization": key} for key in keys):
                answer = await far.request(method, "/metrics", headers=headers)
                nothing = await far.request(method, "/nothing", headers=headers)
                assert answer.status_code == 404
                assert (answer.content, fields_of(answer)) == (nothing.content, fields_of(nothing))
    assert (await ask(standing.app, "GET", "/metrics", client=None)).status == 404


async def test_request_a_proxy_passed_on_is_not_near(standing: Served, tmp_path: Path) -> None:
    """Without TRACKER_TRUSTED_PROXIES everybody comes from the proxy's address; with it that is settled before."""
    async with serving(tmp_path, trusted_proxies="127.0.0.1") as behind:
        for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP"):
            for app, status in ((standing.app, 404), (behind.app, 200)):
                async with client_of(app, address="127.0.0.1", headers={name: "8.8.8.8"}) as passed_on:
                    assert (await passed_on.get("/metrics")).status_code == status


async def test_token_opens_it_from_anywhere(tmp_path: Path) -> None:
    """That one alone, and only as it is sent to us."""
    async with serving(tmp_path, metrics_token=TOKEN) as served:
        for authorization, status in (
            (f"Bearer {TOKEN}", 200),
            (f"bearer  {TOKEN} ", 200),
            (f"Bearer {TOKEN}x", 404),
            (f"Bearer {TOKEN[:-1]}", 404),
            (f"Bearer {TOKEN.upper()}", 404),
            ("Bearer tökén", 404),
            (f"Basic {TOKEN}", 404),
            (TOKEN, 404),
            ("", 404),
        ):
            headers = [(b"authorization", authorization.encode())]
            assert (await ask(served.app, "GET", "/metrics", headers=headers)).status == status, authorization
        assert (await served.reader.get(f"/metrics?token={TOKEN}")).status_code == 404


async def test_metrics_are_the_documented_ones(tmp_path: Path) -> None:
    """Each with its kind and its labels, those of the worker's process too."""
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|(.*?)\| \w.+ \|$", DOCUMENT, re.MULTILINE)
    documented = {name: (kind, sorted(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    assert len(rows) == len(documented)
    async with Server(tmp_path / "here") as server:
        account = await server.create_account("north")
        await server.ask("GET", "/v1/events", headers=account.authorization)
        text = (await server.ask("GET", "/metrics")).body.decode()
    shown = {}
    for family in text_string_to_metric_families(text):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        shown[name] = (family.type, sorted(labels))
        assert family.samples, name
        assert family.documentation
    assert shown == documented


async def test_alarms_ask_for_metrics_that_there_are() -> None:
    """An alarm for a name that is misspelt never rings."""
    names = set(re.findall(r"^\| `(\w+)` \|", DOCUMENT, re.MULTILINE))
    rules = re.findall(r"^\s+expr: (.+)$", DOCUMENT, re.MULTILINE)
    assert len(rules) > 8
    for rule in rules:
        for used in re.findall(r"\b(?:tracker|process)_\w+", rule):
            assert re.sub(r"_(bucket|count|sum)$", "", used) in names, rule


async def test_everything_is_counted(served: Served, customer: Customer) -> None:
    """Hits, opt-outs, lifts, checks, bad tokens, and requests by the template of their route."""
    made = await customer.make()
    await served.reader.get(made["open_url"])
    await served.reader.get(click_of(made))
    await served.reader.post(made["unsubscribe_url"])
    for path, times in (("/o/x.gif", 1), ("/c/x", 2), ("/u/x", 3), ("/p/x", 4)):
        for _ in range(times):
            await served.reader.get(path)
    await customer.check(EMAIL, "other@example.com", "another@example.com", "none")
    [row] = (await customer.api.get("/v1/suppressions")).json()["data"]
    consent = {"consented_at": row["created_at"], "method": "form", "evidence": "17"}
    for when, status in ((row["created_at"], 409), (later(row["created_at"]), 204)):
        lifted = await customer.api.post(f"/v1/suppressions/{row['id']}/lift", json={**consent, "consented_at": when})
        assert lifted.status_code == status, lifted.text
    assert len(await customer.events()) == 4
    await until(lambda: projected(served, 4))
    found = await scrape(served)
    assert named(found["tracker_events_recorded_total"]) == {
        "opened": 1,
        "clicked": 1,
        "unsubscribed": 1,
        "resubscribed": 1,
    }
    assert set(found["tracker_events_unrecorded_total"].values()) == {0}
    assert named(found["tracker_bad_tokens_total"]) == {"open": 1, "click": 2, "unsubscribe": 3, "preferences": 4}
    assert named(found["tracker_suppressions_checked_total"]) == {"allowed": 2, "suppressed": 1, "invalid": 1}
    assert found["tracker_suppressions_lifted_total"][()] == 1
    assert found["tracker_journal_commit_seconds_count"][()] == 4
    assert found["tracker_journal_commit_seconds_sum"][()] > 0
    assert found["tracker_accounts"][()] == 1
    lifts = {"route": "/v1/suppressions/{id}/lift", "method": "POST"}
    answers = found["tracker_http_requests_total"]
    assert answers[tuple(sorted({**lifts, "status": "2xx"}.items()))] == 1
    assert answers[tuple(sorted({**lifts, "status": "4xx"}.items()))] == 1
    assert found["tracker_http_request_seconds_count"][tuple(sorted(lifts.items()))] == 2
    assert found["tracker_http_requests_under_way"][()] == 1
    if not served.shared:
        assert found["tracker_file_bytes"][(("file", "inbox"),)] > 10_000


async def projected(served: Served, events: int) -> bool:
    return await value_of(served, "tracker_projector_events_total") == events


def later(moment: str) -> str:
    """A millisecond afterwards."""
    return written_time(parse_time(moment) + 1)


def named(samples: Mapping[tuple[tuple[str, str], ...], float]) -> dict[str, float]:
    """By the value of the one label."""
    return {labels[0][1]: value for labels, value in samples.items()}


async def test_durations_are_counted_up_to_their_bounds(served: Served) -> None:
    """As a histogram of Prometheus: each bound holds those below it too, and +Inf all."""
    for _ in range(3):
        await served.reader.get("/livez")
    buckets = (await scrape(served))["tracker_http_request_seconds_bucket"]
    counts = [value for labels, value in buckets.items() if ("route", "/livez") in labels]
    assert counts == sorted(counts)
    assert counts[-1] == 3


async def test_no_label_names_anybody(served: Served) -> None:
    """No account, campaign, address, path or token, whatever was asked for (B-22)."""
    customer = await served.customer("Larkspur-canary")
    made = await customer.make(campaign="canary", topic="canary", recipient={"email": "canary@example.com"})
    for url in (made["open_url"], click_of(made), made["unsubscribe_url"], made["preferences_url"]):
        await served.reader.get(url)
        await served.reader.get(f"{url}canary")
    for path in ("/canary", "/v1/canary", "/v1/messages/canary", "/v1/topics/canary", "/u/canary", "/problems/canary"):
        for method in ("GET", "PUT", "CANARY"):
            await customer.api.request(method, f"{path}?canary=1")
    async with client_of(served.app, address="127.0.0.1") as near:
        text = (await near.get("/metrics")).text
    tokens = [made[name].rpartition("/")[2][:20] for name in ("open_url", "unsubscribe_url", "preferences_url")]
    for secret in ("canary", "Larkspur", "@", written(customer.id), *tokens):
        assert secret.lower() not in text.lower()
    assert 'route="unmatched"' in text
    assert 'method="other"' in text


async def test_answers_while_storage_is_down(served: Served, customer: Customer) -> None:
    """That is when it is asked: at once, and with what is known."""
    made = await customer.make()
    await until(lambda: is_up(served, "tracker_main_down", 0))
    with locked(served.files.main), locked(served.files.inbox):
        assert (await served.reader.get(made["open_url"])).status_code == 503
        await until(lambda: is_up(served, "tracker_main_down", 1))
        began = time.monotonic()
        found = await scrape(served)
        assert time.monotonic() - began < 1
        assert found["tracker_journal_failing"][()] == 1
        assert found["tracker_journal_broken"][()] == 0
        assert named(found["tracker_events_unrecorded_total"])["opened"] == 1
    await until(lambda: is_up(served, "tracker_main_down", 0))
    await until(lambda: is_up(served, "tracker_journal_failing", 0))


async def is_up(served: Served, name: str, value: float) -> bool:
    return await value_of(served, name) == value


async def test_broken_journal_is_told_before_an_event_is_refused(served: Served) -> None:
    """Whatever it was that wrote to it."""
    assert await value_of(served, "tracker_journal_broken") == 0
    assert served.files, "a server's disk is its own"
    with files_can_grow_no_more(), pytest.raises(OSError, match="IOERR"):
        await served.app._asgi._writer._beat()  # type: ignore[attr-defined]
    assert await value_of(served, "tracker_journal_broken") == 1
    assert (await served.reader.get("/readyz")).json()["storage"].startswith("down since ")


async def test_scrapes_do_not_disturb_each_other(served: Served) -> None:
    """Two Prometheuses ask at once."""
    async with client_of(served.app, address="127.0.0.1") as near:
        answers = await asyncio.gather(*(near.get("/metrics") for _ in range(5)))
    assert {answer.status_code for answer in answers} == {200}
    assert all(samples_of(answer.text) for answer in answers)


async def test_worker_is_watched(tmp_path: Path) -> None:
    """Its process, and that it was started again."""
    async with Server(tmp_path / "here") as server, httpx.AsyncClient() as near:
        url = f"http://127.0.0.1:{server.port}/metrics"
        before = samples_of((await near.get(url)).text)
        assert before["tracker_worker_up"][()] == 1
        assert before["tracker_worker_process_resident_memory_bytes"][()] > 1_000_000
        old = server.worker()
        assert old is not None
        server.signal_worker(signal.SIGKILL)
        await server.worker_other_than(old)
        after = samples_of((await near.get(url)).text)
        assert after["tracker_worker_restarts_total"][()] == 1


async def test_what_the_inspection_found_is_told(served: Served) -> None:
    """F14: damage is a number to be woken for, and so is an inspection that does not take place."""
    inspection = served.app._health._inspection
    before = await scrape(served)
    await inspection.turn()
    after = await scrape(served)
    inspection.damaged = True
    damaged = await scrape(served)
    names = ("tracker_files_damaged", "tracker_inspections_total")
    assert [[found[name][()] for name in names] for found in (before, after, damaged)] == [[0, 0], [0, 1], [1, 1]]
