"""A list that is sent again under its Idempotency-Key is taken in once, however often it was cut off on its way."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.web.serving import Customer, Served, locked, problem_of, somebody
from tests.web.test_idempotency import new_key
from tests.web.test_suppression_imports import CSV, IMPORT, report
from tests.web.test_suppression_rows import ROWS, add, changes, rows_of, search
from tracker.web.import_progress import cut_evenly

pytestmark = pytest.mark.anyio

PIECE = 16 * 1024


async def send(customer: Customer, content: Any, key: str, **asked: str) -> httpx.Response:
    """One try."""
    headers = {**CSV, "Idempotency-Key": key}
    return await customer.api.post(IMPORT, content=content, headers=headers, params=asked)


async def insist(customer: Customer, content: Any, key: str) -> httpx.Response:
    """As a client should, until it is answered for good."""
    while (answer := await send(customer, content, key)).status_code == 503:
        assert answer.headers["retry-after"]
    return answer


def addresses(count: int) -> list[str]:
    return [somebody() for _ in range(count)]


def lines_of(emails: list[str]) -> bytes:
    """A list in which the third line is bad."""
    return "\n".join([*emails[:2], "nobody", *emails[2:], ""]).encode()


def told(added: int, already: int = 0) -> dict[str, Any]:
    """The report of such a list."""
    bad = {"bad": 1, "errors": [{"line": 3, "detail": "email: An address has an @ in it."}]}
    return {**report(added, already), **bad, "read": added + already + 1}


async def break_off(served: Served, customer: Customer, content: bytes, size: int, key: str) -> None:
    """A connection that breaks after so many bytes."""
    came = iter([{"type": "http.request", "body": content[:size], "more_body": True}, {"type": "http.disconnect"}])
    headers = {**CSV, "Idempotency-Key": key, "Authorization": f"Bearer {customer.key}"}
    scope = {
        "type": "http",
        "method": "POST",
        "path": IMPORT,
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": ("203.0.113.7", 50_000),
    }
    sent: list[Any] = []

    async def receive() -> Any:
        return next(came)

    async def send(message: Any) -> None:
        sent.append(message)

    await served.app(scope, receive, send)
    assert sent[0]["status"] == 400


async def test_answer_comes_again_whatever_happened_to_its_rows(served: Served, customer: Customer) -> None:
    """It says what the call did; what was deleted since does not come back."""
    content, key = lines_of(addresses(300)), new_key()
    first = await send(customer, content, key)
    assert first.json() == told(300)
    row = (await rows_of(customer))[0]
    assert (await customer.api.delete(f"{ROWS}/{row['id']}")).status_code == 204
    again = await send(customer, content, key)
    assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")
    assert served.suppressions() == 299


@pytest.mark.parametrize("size", [PIECE, 2 * PIECE + 1, 3 * PIECE - 1])
async def test_cut_list_goes_on_where_it_was(served: Served, customer: Customer, size: int) -> None:
    """The report is that of a list that was never cut, and no row is logged twice."""
    emails, key = addresses(3_000), new_key()
    standing = await add(customer, emails[5])
    content = lines_of(emails)
    assert len(content) > 3 * PIECE
    await break_off(served, customer, content, size, key)
    stored = served.suppressions()
    assert 1 < stored < 3_000
    assert (await customer.api.delete(f"{ROWS}/{(await rows_of(customer))[0]['id']}")).status_code == 204
    answer = await send(customer, content, key)
    assert answer.json() == told(2_999, already=1)
    assert "idempotent-replayed" not in answer.headers
    assert served.suppressions() == 2_999
    assert await search(customer, standing["email"]) == [standing]
    log = await changes(customer, limit="1000")
    assert [entry["sequence"] for entry in log] == list(range(1, 1_001))
    assert (await send(customer, content, key)).content == answer.content
    assert served.inbox("select count(*) from suppression_changes") == [(3_001,)]


async def test_import_under_one_key_is_one_entry_of_the_trail(served: Served, customer: Customer) -> None:
    """However many calls it took, and whatever key."""
    content, key = lines_of(addresses(2_000)), new_key()
    await break_off(served, customer, content, PIECE, key)
    for _ in range(2):
        assert (await send(customer, content, key)).status_code == 200
    answer = await customer.api.get("/v1/audit", params={"action": "suppressions.imported"})
    assert len(answer.json()["data"]) == 1


async def test_list_cut_off_at_any_moment_is_told_truthfully(served: Served, customer: Customer) -> None:
    """A10.8: a slice and what is kept of it come together, also when nobody waits for them any more."""
    stopped_half_way = 0
    for moment in range(10):
        content, key, before = lines_of(addresses(600)), new_key(), served.suppressions()
        cut_off = asyncio.create_task(send(customer, content, key))
        await asyncio.sleep(0.008 * moment)
        cut_off.cancel()
        stopped_half_way += 0 < served.suppressions() - before < 600
        assert (await insist(customer, content, key)).json() == told(600)
        assert (await send(customer, content, key)).headers["idempotent-replayed"] == "true"
    assert stopped_half_way
    assert served.inbox("select count(*) from suppression_changes") == [(10 * 600,)]


async def test_another_list_is_refused_before_anything_is_done(served: Served, customer: Customer) -> None:
    """A10.3: one that differs in what was read, is shorter, longer, or asks for something else."""
    emails, key, half = addresses(3_000), new_key(), new_key()
    content = lines_of(emails)
    assert (await send(customer, content, key)).status_code == 200
    other = lines_of([*emails[:2], somebody(), *emails[3:]])
    await break_off(served, customer, content, 2 * PIECE, half)
    before = served.suppressions()
    for given in (other, content[:-30], content[: PIECE + 5], content + b"x@example.com\n", b""):
        answer = await send(customer, given, key)
        assert (answer.status_code, problem_of(answer)) == (422, "idempotency-key-reused"), len(given)
    for given in (other, content[: PIECE + 5], b""):
        answer = await send(customer, given, half)
        assert (answer.status_code, problem_of(answer)) == (422, "idempotency-key-reused"), len(given)
    asked_otherwise = await send(customer, content, key, reason="bounced")
    assert (asked_otherwise.status_code, problem_of(asked_otherwise)) == (422, "idempotency-key-reused")
    assert served.suppressions() == before


async def test_mended_list_is_another_list_and_nothing_of_it_is_stored(served: Served, customer: Customer) -> None:
    """Its good rows are more than those before it; told as stored already, they would be written to."""
    emails, key = addresses(3_000), new_key()
    filling = ["nobody"] * (PIECE // 7)
    bad = "\n".join(["email", *emails[:50], *filling, *emails[50:100], *filling, *filling]).encode()
    await break_off(served, customer, bad, 2 * PIECE, key)
    stored = served.suppressions()
    assert 50 < stored <= 100
    for _ in range(2):
        assert problem_of(await send(customer, lines_of(emails), key)) == "idempotency-key-reused"
        assert served.suppressions() == stored


async def test_empty_list_has_a_receipt_too(customer: Customer) -> None:
    """And belongs to its key like any other."""
    key = new_key()
    for replayed in (None, "true"):
        answer = await send(customer, b"", key)
        assert (answer.json(), answer.headers.get("idempotent-replayed")) == (report(), replayed)
    assert problem_of(await send(customer, somebody(), key)) == "idempotency-key-reused"


async def test_list_that_cannot_be_read_to_its_end_keeps_no_key(served: Served, customer: Customer) -> None:
    """Mended it is sent under the same key; what was taken in before stands already."""
    emails, key = addresses(2_000), new_key()
    broken = lines_of(emails) + b"jos\xe9@example.com\n"
    answer = await send(customer, broken, key)
    assert (answer.status_code, problem_of(answer)) == (400, "not-text")
    stored = served.suppressions()
    assert served.inbox("select * from receipts") == []
    mended = await send(customer, lines_of(emails), key)
    assert mended.json() == told(2_000 - stored, already=stored)
    # And one that belongs to another list stays.
    assert problem_of(await send(customer, b"jos\xe9@example.com\n", key)) == "not-text"
    assert (await send(customer, lines_of(emails), key)).content == mended.content


async def test_outage_is_waited_for_under_one_key(served: Served, customer: Customer) -> None:
    """503 while the disk does not write; then the same call goes on."""
    content, key = lines_of(addresses(2_000)), new_key()
    await break_off(served, customer, content, PIECE, key)
    with locked(served.files.inbox):
        assert problem_of(await send(customer, content, key)) == "unavailable"
    assert (await send(customer, content, key)).json() == told(2_000)


@pytest.mark.parametrize("sizes", [[1], [7, 2, 3], [10], [25, 1]])
async def test_pieces_are_cut_alike_however_they_come(sizes: list[int]) -> None:
    """Nothing is lost, and all but the last are full."""

    async def pieces() -> AsyncIterator[bytes]:
        for number, size in enumerate(sizes):
            yield bytes([number]) * size

    found = [piece async for piece in cut_evenly(pieces(), 5)]
    assert b"".join(found) == b"".join(bytes([number]) * size for number, size in enumerate(sizes))
    assert [len(piece) for piece in found[:-1]] == [5] * (len(found) - 1)
    assert 0 < len(found[-1]) <= 5
