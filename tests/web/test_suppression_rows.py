"""One row for every reason not to write: none ever touches another."""

import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from tests.web.serving import (
    BASE_URL,
    EMAIL,
    Customer,
    Served,
    fields_of,
    locked,
    path_of,
    pointers_of,
    problem_of,
    somebody,
)
from tests.web.test_suppressions import opted_out

pytestmark = pytest.mark.anyio

ROWS = "/v1/suppressions"
UNKNOWN = "01935f2e-7c11-7cc2-b0f5-5d9f8ac7a9d1"

Row = dict[str, Any]


async def add(customer: Customer, email: str = EMAIL, reason: str = "manual", **more: Any) -> Row:
    """The row that stands once the customer has said so."""
    answer = await customer.api.post(ROWS, json={"email": email, "reason": reason, **more})
    assert answer.status_code in (200, 201), answer.text
    return dict(answer.json())


async def rows_of(customer: Customer, **filters: Any) -> list[Row]:
    """The rows that match, the newest first."""
    answer = await customer.api.get(ROWS, params=filters)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["data"])


async def search(customer: Customer, email: str = EMAIL) -> list[Row]:
    """The rows of an address."""
    answer = await customer.api.post(f"{ROWS}/search", json={"email": email})
    assert answer.status_code == 200, answer.text
    assert answer.json()["next_cursor"] is None
    return list(answer.json()["data"])


async def delete(customer: Customer, row: Row) -> int:
    """The status a deletion is answered with."""
    return (await customer.api.delete(f"{ROWS}/{row['id']}")).status_code


async def changes(customer: Customer, **asked: Any) -> list[Row]:
    """What was added and removed."""
    answer = await customer.api.get(f"{ROWS}/changes", params=asked)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["data"])


async def pages(customer: Customer, **filters: Any) -> AsyncIterator[list[Row]]:
    """Page after page, by the links of the answers."""
    answer = await customer.api.get(ROWS, params=filters)
    while True:
        yield answer.json()["data"]
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            assert "link" not in answer.headers
            return
        following = answer.headers["link"].removeprefix("<").removesuffix('>; rel="next"')
        assert cursor in following
        answer = await customer.api.get(path_of(following))


async def test_row_has_the_shape_of_the_contract(customer: Customer) -> None:
    """201 with its own address, and the row it made."""
    before = time.time() - 1
    wanted = {"email": EMAIL, "reason": "manual", "topic": "offers", "note": "asked by phone"}
    answer = await customer.api.post(ROWS, json=wanted)
    row = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (201, f"{BASE_URL}{ROWS}/{row['id']}")
    created_at = row["created_at"]
    assert time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(before)) <= created_at[:19]
    assert row == {
        "id": row["id"],
        "email": EMAIL,
        "reason": "manual",
        "scope": "topic",
        "topic": "offers",
        "origin": "customer",
        "note": "asked by phone",
        "message_id": None,
        "created_at": created_at,
    }
    assert (await customer.api.get(path_of(answer.headers["location"]))).json() == row
    assert await rows_of(customer) == [row]


async def test_opt_out_shows_its_address_through_its_message(served: Served, customer: Customer) -> None:
    """As that message was written to; once the message is gone, so is the address, and the opt-out stands."""
    made = await customer.make()
    await served.reader.post(made["unsubscribe_url"])
    (row,) = await rows_of(customer)
    expected = {"email": EMAIL, "reason": "unsubscribed", "origin": "recipient", "message_id": made["id"], "note": None}
    assert expected.items() <= row.items()
    served.main("delete from messages")
    (gone,) = await rows_of(customer)
    assert gone == {**row, "email": None}
    assert not await customer.may_write_to(EMAIL)


async def test_same_row_again_is_the_one_that_stands(customer: Customer) -> None:
    """200, and neither its note nor its time changes; another spelling of the address is the same row."""
    first = await add(customer, note="first")
    again = await customer.api.post(ROWS, json={"email": EMAIL.upper(), "reason": "manual", "note": "second"})
    assert (again.status_code, again.json()) == (200, first)
    assert len(await rows_of(customer)) == 1


async def test_rows_of_another_reason_or_topic_stand_beside(customer: Customer) -> None:
    """One row for each reason, scope and topic."""
    made = [
        await add(customer, reason=reason, **more)
        for reason in ("unsubscribed", "complained", "bounced", "manual")
        for more in ({}, {"topic": "offers"}, {"topic": "news"})
    ]
    assert len({row["id"] for row in made}) == 12
    assert await rows_of(customer) == made[::-1]


@pytest.mark.parametrize("reason", ["unsubscribed", "complained", "bounced", "manual"])
async def test_row_holds_from_the_answer_on(standing: Served, resident: Customer, reason: str) -> None:
    """The next check says so, and no message is made; a row of a topic holds for that topic alone."""
    everything, offers = somebody(), somebody()
    await add(resident, everything, reason)
    await add(resident, offers, reason, topic="offers")
    (entry,) = await resident.check(everything)
    assert (entry["allowed"], entry["reason"], entry["scope"]) == (False, reason, "account")
    assert await resident.may_write_to(offers)
    (entry,) = await resident.check(offers, topic="offers")
    assert (entry["allowed"], entry["reason"], entry["scope"]) == (False, reason, "topic")
    refused = await resident.api.post("/v1/messages", json={"campaign": "c", "recipient": {"email": everything}})
    assert (refused.status_code, problem_of(refused)) == (409, "recipient-suppressed")


async def test_row_makes_no_recipient_and_no_event(served: Served, customer: Customer) -> None:
    """It is a list entry, not something that happened to a mail."""
    await delete(customer, await add(customer))
    assert served.main("select count(*) from recipients") == [(0,)]
    assert await customer.events() == []


async def test_manual_block_removed_leaves_the_opt_out_standing(served: Served, customer: Customer) -> None:
    """A person's own word is a row of its own."""
    made = await customer.make()
    block = await add(customer)
    await served.reader.post(made["unsubscribe_url"])
    assert await delete(customer, block) == 204
    assert [row["origin"] for row in await search(customer)] == ["recipient"]
    assert not await customer.may_write_to(EMAIL)


async def test_opt_out_given_by_the_customer_removed_leaves_the_own_standing(
    served: Served, customer: Customer
) -> None:
    """Even where both say the same: unsubscribed, of the whole account."""
    await opted_out(served, customer, EMAIL)
    given = await add(customer, reason="unsubscribed")
    assert await delete(customer, given) == 204
    assert [(row["reason"], row["origin"]) for row in await search(customer)] == [("unsubscribed", "recipient")]
    assert not await customer.may_write_to(EMAIL)


async def test_deleted_row_is_gone(customer: Customer) -> None:
    """204 once; then it is a row that does not exist, and may be added anew under another id."""
    row = await add(customer)
    assert await delete(customer, row) == 204
    assert await delete(customer, row) == 404
    assert await rows_of(customer) == await search(customer) == []
    assert await customer.may_write_to(EMAIL)
    assert (await add(customer))["id"] != row["id"]


async def test_what_a_person_said_is_final(served: Served, customer: Customer) -> None:
    """409, and it stands; a complaint is final whoever entered it."""
    await opted_out(served, customer, EMAIL)
    await add(customer, reason="complained")
    rows = await rows_of(customer)
    assert len(rows) == 2
    for row in rows:
        answer = await customer.api.delete(f"{ROWS}/{row['id']}")
        assert (answer.status_code, problem_of(answer)) == (409, "opt-out-is-final")
    assert await rows_of(customer) == rows


@pytest.mark.parametrize("reason", ["unsubscribed", "bounced", "manual"])
async def test_what_the_customer_said_may_be_taken_back(resident: Customer, reason: str) -> None:
    """All but complaints."""
    assert await delete(resident, await add(resident, somebody(), reason)) == 204


BAD_ROWS: Mapping[str, tuple[Row, list[str]]] = {
    "nothing": ({}, ["#/email"]),
    "no reason": ({"email": EMAIL}, ["#/reason"]),
    "no address": ({"email": "ada", "reason": "manual"}, ["#/email"]),
    "a reason that is none": ({"email": EMAIL, "reason": "bored"}, ["#/reason"]),
    "an origin": ({"email": EMAIL, "reason": "manual", "origin": "recipient"}, ["#/origin"]),
    "an empty topic": ({"email": EMAIL, "reason": "manual", "topic": ""}, ["#/topic"]),
    "a topic with a slash": ({"email": EMAIL, "reason": "manual", "topic": "a/b"}, ["#/topic"]),
    "a long note": ({"email": EMAIL, "reason": "manual", "note": "x" * 501}, ["#/note"]),
    "a note with NUL": ({"email": EMAIL, "reason": "manual", "note": "a\0"}, ["#/note"]),
    "three flaws": ({"email": "@", "reason": "x", "note": "x" * 501}, ["#/email", "#/note", "#/reason"]),
}


@pytest.mark.parametrize(("row", "pointers"), BAD_ROWS.values(), ids=BAD_ROWS)
async def test_row_is_refused_by_name(standing: Served, resident: Customer, row: Row, pointers: list[str]) -> None:
    """422 with a pointer to each flaw, and nothing is stored."""
    before = standing.suppressions()
    assert pointers_of(await resident.api.post(ROWS, json=row)) == pointers
    assert standing.suppressions() == before


async def test_longest_note_is_kept_whole(resident: Customer) -> None:
    """500 characters, whatever they are."""
    note = "=é\u2028😀\n" * 100
    assert (await add(resident, somebody(), note=note))["note"] == note


async def test_list_is_filtered(served: Served, customer: Customer) -> None:
    """By each filter, and by all at once."""
    await opted_out(served, customer, EMAIL)
    block = await add(customer, "bob@example.com", "bounced", topic="offers")
    blocked = await add(customer, "cy@example.com", "manual")
    opt_out = (await search(customer))[0]
    for filters, found in (
        ({"reason": "unsubscribed"}, [opt_out]),
        ({"scope": "topic"}, [block]),
        ({"scope": "account"}, [blocked, opt_out]),
        ({"topic": "offers"}, [block]),
        ({"origin": "recipient"}, [opt_out]),
        ({"origin": "report"}, []),
        ({"since": block["created_at"]}, [blocked, block]),
        ({"since": "2100-01-01T00:00:00Z"}, []),
        ({"reason": "bounced", "scope": "topic", "topic": "offers", "origin": "customer", "since": EPOCH}, [block]),
    ):
        assert await rows_of(customer, **filters) == found, filters


EPOCH = "1970-01-01T00:00:00Z"


async def test_pages_show_each_row_once(served: Served, customer: Customer) -> None:
    """However many come and go meanwhile: what was there all the time is shown once."""
    made = [await add(customer, somebody()) for _ in range(7)]
    seen: list[Row] = []
    async for page in pages(customer, limit=2, reason="manual"):
        seen += page
        await add(customer, somebody())
        if page[-1] != made[0]:
            await delete(customer, page[-1])
    assert seen == made[::-1]


async def test_cursor_is_good_for_its_own_question_only(served: Served, customer: Customer) -> None:
    """Of another account, of another list or beside other filters: 400."""
    rook = await served.customer("Rook")
    for owner in (customer, rook):
        for _ in range(2):
            await add(owner, somebody())
    cursor = (await customer.api.get(ROWS, params={"limit": 1})).json()["next_cursor"]
    theirs = (await rook.api.get(ROWS, params={"limit": 1})).json()["next_cursor"]
    for asked in ({"cursor": theirs}, {"cursor": cursor, "reason": "manual"}, {"cursor": "x"}):
        answer = await customer.api.get(ROWS, params=asked)
        assert (answer.status_code, problem_of(answer)) == (400, "bad-cursor")
    assert (await customer.api.get("/v1/events", params={"cursor": cursor})).status_code == 400
    assert len(await rows_of(customer, cursor=cursor)) == 1


@pytest.mark.parametrize(
    ("query", "pointers"),
    [
        ("foo=1", ["#/foo"]),
        ("email=ada%40example.com", ["#/email"]),
        ("reason=bored", ["#/reason"]),
        ("scope=all", ["#/scope"]),
        ("origin=me", ["#/origin"]),
        ("topic=", ["#/topic"]),
        ("since=yesterday", ["#/since"]),
        ("limit=1001", ["#/limit"]),
        ("limit=0", ["#/limit"]),
        ("reason=x&scope=y", ["#/reason", "#/scope"]),
    ],
)
async def test_query_is_refused_by_name(resident: Customer, query: str, pointers: list[str]) -> None:
    """422 that names what is wrong; an address never stands in a URL."""
    assert pointers_of(await resident.api.get(f"{ROWS}?{query}")) == pointers


async def test_search_finds_every_row_of_an_address(served: Served, customer: Customer) -> None:
    """In any spelling of it, the newest first, and nobody else's."""
    await add(customer, "other@example.com")
    made = await customer.make()
    block = await add(customer, topic="offers")
    await served.reader.post(made["unsubscribe_url"])
    for spelt in (EMAIL, EMAIL.upper()):
        opt_out, first = await search(customer, spelt)
        assert (opt_out["origin"], first) == ("recipient", block)
    assert await search(customer, somebody()) == []


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["#/email"]),
        ({"email": "ada"}, ["#/email"]),
        ({"email": EMAIL, "address": EMAIL}, ["#/address"]),
        ({"email": EMAIL, "limit": 1}, ["#/limit"]),
    ],
)
async def test_search_is_refused_by_name(resident: Customer, body: Row, pointers: list[str]) -> None:
    """As the list; and who is searched for has to be said."""
    assert pointers_of(await resident.api.post(f"{ROWS}/search", json=body)) == pointers


async def test_rows_of_another_account_are_rows_that_do_not_exist(served: Served, customer: Customer) -> None:
    """B-7: byte for byte as for an id nobody has, by whatever route; and nothing happens to them."""
    rook = await served.customer("Rook")
    await opted_out(served, rook, EMAIL)
    await add(rook)
    theirs = await rows_of(rook)
    for row in theirs:
        for method in ("GET", "DELETE"):
            found = await customer.api.request(method, f"{ROWS}/{row['id']}")
            unknown = await customer.api.request(method, f"{ROWS}/{UNKNOWN}")
            assert (found.status_code, problem_of(found)) == (404, "not-found")
            assert (found.content, fields_of(found)) == (unknown.content, fields_of(unknown))
    assert await rows_of(customer) == await search(customer) == await changes(customer) == []
    await add(customer)
    assert await delete(customer, (await rows_of(customer))[0]) == 204
    assert await rows_of(rook) == theirs


@pytest.mark.parametrize("identifier", ["x", "42", "01935f2e", f"{UNKNOWN}0", "a%00b"])
async def test_what_is_no_id_is_not_found(resident: Customer, identifier: str) -> None:
    """404, and never an error of ours."""
    answer = await resident.api.get(f"{ROWS}/{identifier}")
    assert (answer.status_code, problem_of(answer)) == (404, "not-found")


async def test_other_methods_are_told_which_may_be_used(resident: Customer) -> None:
    """405 with all of them."""
    for path, allowed in ((ROWS, "GET, HEAD, POST"), (f"{ROWS}/{UNKNOWN}", "DELETE, GET, HEAD")):
        answer = await resident.api.put(path)
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert (await resident.api.get(f"{ROWS}/check")).status_code == 405


async def test_row_that_cannot_be_stored_is_not_acknowledged(served: Served, customer: Customer) -> None:
    """503 with the time to ask again; afterwards it goes on."""
    row = await add(customer, "before@example.com")
    with locked(served.files.inbox):
        answers = [
            await customer.api.post(ROWS, json={"email": EMAIL, "reason": "manual"}),
            await customer.api.delete(f"{ROWS}/{row['id']}"),
        ]
    for answer in answers:
        assert (answer.status_code, problem_of(answer)) == (503, "unavailable")
        assert int(answer.headers["retry-after"]) > 0
    assert await rows_of(customer) == [row]
    await add(customer)
    assert len(await rows_of(customer)) == 2


async def test_changes_tell_additions_and_removals_without_gaps(served: Served, customer: Customer) -> None:
    """Opt-outs of people included; what changes nothing has no number."""
    block = await add(customer, "bob@example.com", note="by phone")
    await add(customer, "bob@example.com")
    made = await customer.make()
    for _ in range(2):
        await served.reader.post(made["unsubscribe_url"])
    (opt_out,) = await search(customer)
    await delete(customer, block)
    await delete(customer, opt_out)
    found = await changes(customer)
    assert [(entry.pop("sequence"), entry.pop("change")) for entry in found] == [
        (1, "added"),
        (2, "added"),
        (3, "removed"),
    ]
    times = [entry.pop("changed_at") for entry in found]
    assert times == sorted(times)
    assert times[:2] == [block["created_at"], opt_out["created_at"]]
    forgotten = {**block, "email": None, "note": None}
    assert found == [forgotten, opt_out, forgotten]


async def test_changes_go_on_where_they_stopped(served: Served, customer: Customer) -> None:
    """As the feed: ask again with ``next``; no data means nothing new yet."""
    rook = await served.customer("Rook")
    for _ in range(5):
        await add(customer, somebody())
        await add(rook, somebody())
    seen, after = [], 0
    while page := (await customer.api.get(f"{ROWS}/changes", params={"after": after, "limit": 2})).json():
        if not page["data"]:
            break
        seen += [entry["sequence"] for entry in page["data"]]
        after = page["next"]
        assert after == seen[-1]
    assert page == {"data": [], "next": 5}
    assert seen == [1, 2, 3, 4, 5]
    await add(customer, somebody())
    assert [entry["sequence"] for entry in await changes(customer, after=5)] == [6]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("after=-1", "#/after"),
        ("after=x", "#/after"),
        ("limit=0", "#/limit"),
        ("limit=1001", "#/limit"),
        ("a=1", "#/a"),
    ],
)
async def test_question_about_changes_is_refused_by_name(resident: Customer, query: str, pointer: str) -> None:
    """422 that names what is wrong."""
    assert pointers_of(await resident.api.get(f"{ROWS}/changes?{query}")) == [pointer]
