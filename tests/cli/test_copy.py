"""An installation moves to PostgreSQL and back: every row, links that go on working, and into nobody's database."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.postgres import shared_server
from tests.storage.databases import SECRETS
from tests.web.serving import EMAIL, Served, client_of, path_of, serving, serving_at, until
from tracker.domain.keys import Key
from tracker.storage import copies
from tracker.storage.accounts import Accounts
from tracker.storage.installation import Files, files_of
from tracker.storage.keyfile import read_key_file, written_keys
from tracker.storage.locks import FileLock
from tracker.storage.shared import SharedDatabase

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]

KEYS = written_keys({number: Key(secret) for number, secret in SECRETS.items()})


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """That of an empty database."""
    server = shared_server()
    name = await server.create()
    yield server.url(name)
    await server.drop(name)


async def lived_in(folder: Path) -> tuple[Mapping[str, Any], str]:
    """An installation with a message that was opened, and one whose reader left; that one and the API key."""
    async with serving(folder) as served:
        customer = await served.customer()
        made, left = await customer.make(), await customer.make(recipient={"email": "left@example.com"})
        assert (await served.reader.get(path_of(made["open_url"]))).status_code == 200
        assert (await served.reader.post(path_of(left["unsubscribe_url"]))).status_code == 200
        headers = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
        added = {"email": "blocked@example.com", "reason": "manual"}
        assert (await customer.api.post("/v1/suppressions", json=added, headers=headers)).status_code == 201
        await customer.make(recipient={"email": "third@example.com"})

        async def projected() -> bool:
            return len(await customer.events()) == 2

        await until(projected)
        return left, customer.key


async def expect_the_same(served: Served, left: Mapping[str, Any], key: str) -> None:
    """The reader who left is refused, the old links work, the feed goes on where it stopped."""
    async with client_of(served.app, headers={"Authorization": f"Bearer {key}"}) as api:
        asked = {"recipients": [EMAIL, "left@example.com", "blocked@example.com"]}
        answer = (await api.post("/v1/suppressions/check", json=asked)).json()["data"]
        assert [one["allowed"] for one in answer] == [True, False, False]
        before = (await api.get("/v1/events/feed", params={"after": 0})).json()["data"]
        assert (await served.reader.get(path_of(left["open_url"]))).status_code == 200

        async def projected() -> bool:
            after = (await api.get("/v1/events/feed", params={"after": 0})).json()["data"]
            return [one["sequence"] for one in after] == list(range(1, len(before) + 2))

        await until(projected)


async def test_installation_moves_there_and_back(run: Run, folder: Path, url: str) -> None:
    """With what happened in between; numbers go on without a hole, and nothing is projected twice."""
    home, back = folder / "home", folder / "back"
    home.mkdir()
    back.mkdir()
    left, key = await lived_in(home)
    source, target = f"sqlite:///{home}/tracker.db", f"sqlite:///{back}/tracker.db"
    done = await asyncio.to_thread(run, "copy", source, url, "--json")
    assert done.json["rows"]["messages"] == 3
    assert done.json["rows"]["receipts"] == 1
    secrets = read_key_file(files_of(source).keys)
    assert secrets is not None
    keys = written_keys(secrets)
    async with serving_at(url, secret_keys=keys) as served:
        await expect_the_same(served, left, key)
    (folder / "environment").write_text(keys)
    again = await asyncio.to_thread(run_with_keys, run, keys, "copy", url, target, "--json")
    assert again.json["rows"]["events"] == done.json["rows"]["events"] + 1
    async with serving_at(target, secret_keys=keys) as served:
        await expect_the_same(served, left, key)


def run_with_keys(run: Run, keys: str, *arguments: str) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRACKER_SECRET_KEYS", keys)
        return run(*arguments)


async def test_copy_that_was_interrupted_goes_on(
    run: Run, folder: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until then nobody may serve what is there; afterwards it is the same as one that was not interrupted."""
    left, key = await lived_in(folder)
    source, files = f"sqlite:///{folder}/tracker.db", Files(folder / "tracker.db")
    copy_table, copied = copies._copy_table, list[str]()

    async def stumbles(there: Any, here: Any, table: Any, tell: Any) -> None:
        if len(copied) == 5:
            raise copies.BadCopy("the machine was switched off")
        copied.append(table.name)
        await copy_table(there, here, table, tell)

    monkeypatch.setattr(copies, "_SLICE_ROWS", 1)
    monkeypatch.setattr(copies, "_copy_table", stumbles)
    (await asyncio.to_thread(run, "copy", source, url, "--json")).failed_with("switched off")
    monkeypatch.setattr(copies, "_copy_table", copy_table)
    keys = written_keys(read_key_file(files.keys) or {})
    monkeypatch.setenv("TRACKER_DATABASE_URL", url)
    (await asyncio.to_thread(run_with_keys, run, keys, "migrate")).failed_with("running the same tracker copy again")
    done = await asyncio.to_thread(run, "copy", source, url, "--json")
    assert done.json["rows"]["messages"] == 3
    async with serving_at(url, secret_keys=keys) as served:
        await expect_the_same(served, left, key)


async def test_copy_goes_into_nobodys_database(run: Run, folder: Path, url: str) -> None:
    """One that holds an account, or that somebody works on; nor from files that are served."""
    await lived_in(folder)
    source, files = f"sqlite:///{folder}/tracker.db", Files(folder / "tracker.db")
    with FileLock(files.server_lock):
        (await asyncio.to_thread(run, "copy", source, url, "--json")).failed_with("stop the server first")
    shared = SharedDatabase(url)
    secrets = {number: key.secret for number, key in (read_key_file(files.keys) or {}).items()}
    await shared.prepare(secrets)
    async with shared.main_database() as main:
        await main.fetch("select 1 as one")
        (await asyncio.to_thread(run, "copy", source, url, "--json")).failed_with("is being used: stop every server")
        await Accounts(main).create("somebody")
    (await asyncio.to_thread(run, "copy", source, url, "--json")).failed_with("is not empty")


def test_copy_of_one_kind_to_itself_is_refused(run: Run, tmp_path: Path) -> None:
    """There are better ways."""
    done = run("copy", f"sqlite:///{tmp_path}/a.db", f"sqlite:///{tmp_path}/b.db")
    assert done.status == 2
    assert "tracker backup" in done.err
