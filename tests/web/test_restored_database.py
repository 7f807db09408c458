"""A dump of one PostgreSQL, restored to another with the old keys."""

import pytest

from tests.postgres import a_server, shared_server
from tests.storage.databases import SECRETS, new_database
from tests.web.serving import EMAIL, SHOP, click_of, client_of, path_of, serving_at, until
from tracker.domain.keys import Key
from tracker.storage.keyfile import written_keys

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]

KEYS = written_keys({number: Key(secret) for number, secret in SECRETS.items()})


async def test_links_and_opt_outs_hold_after_a_restore() -> None:
    """On another server, from nothing but the dump and the keys; and the feed goes on where it stopped."""
    async with new_database() as url:
        async with serving_at(url, secret_keys=KEYS) as served:
            customer = await served.customer()
            made = await customer.make()
            assert (await served.reader.post(path_of(made["unsubscribe_url"]))).status_code == 200

            async def projected() -> bool:
                return len(await customer.events()) == 1

            await until(projected)
        shared_server().run("pg_dump", "--format=custom", "--file=dump", url)
        dump = (shared_server().home / "dump").read_bytes()
    other = a_server({"fsync": "off"})
    try:
        elsewhere = other.url(await other.create())
        (other.home / "dump").write_bytes(dump)
        other.run("pg_restore", "--no-owner", f"--dbname={elsewhere}", "dump")
        async with serving_at(elsewhere, secret_keys=KEYS) as served:
            answer = await served.reader.get(path_of(click_of(made)))
            assert (answer.status_code, answer.headers["location"]) == (302, SHOP)
            async with client_of(served.app, headers={"Authorization": f"Bearer {customer.key}"}) as api:
                found = (await api.post("/v1/suppressions/check", json={"recipients": [EMAIL]})).json()["data"]
                assert [one["allowed"] for one in found] == [False]
                events = (await api.get("/v1/events/feed", params={"after": 0})).json()["data"]
                assert [one["sequence"] for one in events][:1] == [1]
    finally:
        other.remove()
