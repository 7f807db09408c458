"""What the real server logs at its loudest, when every secret there is comes by."""

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server.harness import Server
from tracker.app import create_app
from tracker.domain.keys import Keyring, new_secret
from tracker.settings import Settings

pytestmark = pytest.mark.anyio

CANARY = "c4n4ry"
EMAIL = f"{CANARY}.person@{CANARY}-host.example"
SENT = {
    "User-Agent": f"{CANARY}-agent/1.0",
    "Referer": f"https://{CANARY}-referrer.example/",
    "Cookie": f"sid={CANARY}",
    "X-Forwarded-For": f"{CANARY}, 198.51.100.77",
    "X-Request-Id": f"{CANARY}-id",
    "Request-Id": f"{CANARY}-id",
    "Idempotency-Key": f"{CANARY}-key",
}
"""Sent with every request."""

BODIES: tuple[Any, ...] = (
    {CANARY: EMAIL},
    {"recipients": [EMAIL, CANARY]},
    {"campaign": CANARY, "recipient": {"email": EMAIL}, "html": f"<p>{CANARY}</p>", "metadata": {CANARY: CANARY}},
    {"campaign": CANARY, "recipients": [{"email": EMAIL, "external_id": CANARY}, {"email": CANARY}]},
    {"email": EMAIL, "reason": "manual", "note": CANARY},
    {"consented_at": CANARY, "method": CANARY, "evidence": CANARY},
    [CANARY],
    CANARY,
)


def routes() -> list[tuple[str, set[str]]]:
    """Every path of the app with canaries for its parameters, and the methods to try."""
    app = create_app(Settings(), Keyring({1: new_secret()}))
    parameters = [(route.path, CANARY) for route in app.router.routes]
    ids = [(path, "3f0c55e0-7c11-7001-8aa1-3f0c55e0d9b2") for path, _ in parameters if ":uuid}" in path]
    return [
        (_filled(path, value), {"GET", "POST", "PUT", "DELETE", CANARY.upper()}) for path, value in parameters + ids
    ]


def _filled(path: str, value: str) -> str:
    before, bracket, rest = path.partition("{")
    return before + value + _filled(rest.partition("}")[2], value) if bracket else path


def found_in(log: str, secrets: list[str]) -> list[str]:
    """The lines that hold one of these, in any case."""
    return [line for line in log.splitlines() if any(secret.lower() in line.lower() for secret in secrets)]


async def test_log_holds_nothing_that_was_sent(tmp_path: Path) -> None:
    """No address, token, key, user agent, query or path, at the level debug, on all routes and with errors (B-22)."""
    settings = {"TRACKER_LOG_LEVEL": "debug", "TRACKER_TRUSTED_PROXIES": "127.0.0.1"}
    async with Server(tmp_path / CANARY, settings=settings) as server:
        account = await server.create_account(f"{CANARY} account")
        key = account.authorization["authorization"]
        url = f"http://127.0.0.1:{server.port}"
        async with httpx.AsyncClient(base_url=url, headers=SENT, timeout=20) as anybody:
            made = await a_life(anybody, key)
            for path, methods in [*routes(), (f"/{CANARY}", {"GET"}), (f"/v1/{CANARY}", {"GET"})]:
                for method in methods:
                    await anybody.request(method, f"{path}?{CANARY}={EMAIL}", json=BODIES[0], headers=authorized(key))
            await everything_wrong(anybody, key, server.main, made)
        await server.stop()
        log = server.log()
    tokens = [made[name].rpartition("/")[2].removesuffix(".gif") for name in made if name.endswith("_url")]
    secrets = [CANARY, key.rpartition("_")[2], "198.51.100.77", *tokens, *(token[-20:] for token in tokens)]
    assert found_in(log, secrets) == []
    entries = [json.loads(line) for line in log.splitlines()]
    assert len(entries) > 100
    assert {"a request failed", "answered"} <= {entry["message"] for entry in entries}
    assert account.id in {entry.get("account") for entry in entries}
    # The search finds what is there.
    assert found_in(log, [account.id]) != []


def authorized(key: str) -> dict[str, str]:
    return {"Authorization": key}


async def a_life(anybody: httpx.AsyncClient, key: str) -> dict[str, Any]:
    """A message, its opening, its click and its end."""
    answers = []
    paths = ("messages", "messages/batch", "suppressions/check", "suppressions", "events/search")
    for path in (f"/v1/{name}" for name in paths):
        for body in BODIES:
            answers.append(await anybody.post(path, json=body, headers=authorized(key)))
            await anybody.post(path, json=body, headers=authorized(f"Bearer trk_{'0' * 16}_{CANARY * 5}"))
    made = next(answer.json() for answer in answers if answer.status_code == 201 and "open_url" in answer.json())
    for name in ("open_url", "unsubscribe_url", "preferences_url"):
        path = httpx.URL(made[name]).path
        for method, form in (("GET", None), ("POST", {"action": "undo", CANARY: CANARY}), ("GET", None)):
            await anybody.request(method, path, data=form)
        await anybody.get(f"{path}{CANARY}")
    return dict(made)


async def everything_wrong(anybody: httpx.AsyncClient, key: str, main: Path, made: dict[str, Any]) -> None:
    """An error nobody foresaw, bytes that are no HTTP, and bodies that are no JSON."""
    connection = sqlite3.connect(main)
    with connection:
        connection.execute("update messages set metadata = ?", (f"{{{CANARY}",))
    connection.close()
    assert (await anybody.get(f"/v1/messages/{made['id']}", headers=authorized(key))).status_code == 500
    await anybody.post("/v1/messages", content=f'{{"{EMAIL}'.encode(), headers=authorized(key))
    reader, writer = await asyncio.open_connection("127.0.0.1", anybody.base_url.port)
    writer.write(f"{CANARY} {CANARY}\r\n\r\n".encode())
    await reader.read()
    writer.close()
    await writer.wait_closed()
