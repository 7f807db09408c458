"""The operator blocks beside a running server."""

import asyncio
import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.server.harness import TRACKER, Account, Server, environment
from tests.server.locks import locked

pytestmark = [pytest.mark.anyio, pytest.mark.fault]

EVIL = "https://evil.example/login?id=1"
_WITHIN_S = 10.0


async def tracker(server: Server, *arguments: str) -> Any:
    """A command beside the server, and what it says."""
    command = (*TRACKER, *arguments, "--json")
    run = await asyncio.to_thread(
        subprocess.run, command, cwd=server.folder, env=environment({}), capture_output=True, check=True
    )
    return json.loads(run.stdout)


async def click_path(server: Server, account: Account) -> str:
    """The path of a link that leads to :data:`EVIL`."""
    wanted = {
        "campaign": "spring",
        "recipient": {"email": "ada@example.com"},
        "html": f'<a href="{EVIL}">Log in</a>',
    }
    headers = {**account.authorization, "content-type": "application/json"}
    answer = await server.ask("POST", "/v1/messages", headers=headers, body=json.dumps(wanted).encode())
    assert answer.status == 201, answer
    return "/c/" + str(answer.json()["html"]).split("/c/")[1].split('"')[0]


async def answers(server: Server, path: str, status: int) -> float:
    """Wait for what a click gets, and give the seconds it took."""
    began = time.monotonic()
    while (await server.ask("GET", path)).status != status:
        assert time.monotonic() - began < _WITHIN_S, f"no {status} within {_WITHIN_S:.0f} s"
        await asyncio.sleep(0.02)
    return time.monotonic() - began


async def test_a_block_holds_within_ten_seconds_and_through_a_lock(tmp_path: Path) -> None:
    """A command beside the server is enough; a locked main file and a restart change nothing; and it is taken back."""
    async with Server(tmp_path / "data") as server:
        path = await click_path(server, await server.create_account("north"))
        assert (await server.ask("GET", path)).status == 302
        await tracker(server, "block", "host", "evil.example", "--reason", "phishing")
        print(f"blocked after {await answers(server, path, 410):.2f} s")
        with locked(server.main):
            for method in ("GET", "HEAD"):
                assert (await server.ask(method, path)).status == 410
        await server.stop()
        await server.start()
        assert (await server.ask("GET", path)).status == 410
        await tracker(server, "unblock", "host", "evil.example")
        print(f"led on after {await answers(server, path, 302):.2f} s")
