"""Who left may come back: an opt-out gives way to a consent that is younger, and to nothing else."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.web.serving import EMAIL, Customer, Served, fields_of, locked, pointers_of, problem_of, serving, until
from tests.web.test_suppression_rows import ROWS, UNKNOWN, Row, add, changes, rows_of, search
from tests.web.test_suppressions import opted_out
from tracker.domain.times import written_time
from tracker.settings import BadSetting, Settings

pytestmark = pytest.mark.anyio


def consent(**given: Any) -> Row:
    """One given this very moment."""
    now = written_time(time.time_ns() // 1_000_000)
    return {"consented_at": now, "method": "sign-up form", "evidence": "form 17, confirmed by mail", **given}


async def past(row: Row) -> None:
    """Wait for the millisecond after the row's."""

    async def over() -> bool:
        return str(consent()["consented_at"]) > str(row["created_at"])

    await until(over)


async def opt_out(served: Served, customer: Customer, email: str = EMAIL) -> Row:
    """The row of a person who left a moment ago."""
    await opted_out(served, customer, email)
    (row,) = await search(customer, email)
    await past(row)
    return row


async def test_opt_out_gives_way_to_a_younger_consent(served: Served, customer: Customer) -> None:
    """204: the person may be written to, the event says how, and the log of changes says so."""
    row = await opt_out(served, customer)
    answer = await customer.api.post(f"{ROWS}/{row['id']}/lift", json=consent())
    assert (answer.status_code, answer.content) == (204, b"")
    assert await customer.may_write_to()
    assert [(entry["change"], entry["id"]) for entry in await changes(customer)] == [
        ("added", row["id"]),
        ("removed", row["id"]),
    ]
    event = (await customer.events())[-1]
    assert (event["type"], event["method"], event["message_id"]) == ("resubscribed", "lift", row["message_id"])
    assert event["recipient"]["email"] == EMAIL
    assert await customer.events(type="resubscribed") == [event]


async def test_consent_is_kept_as_it_was_given(served: Served, customer: Customer) -> None:
    """The proof outlives the row it took away."""
    row = await opt_out(served, customer)
    given = consent(evidence="Zettel № 4, \u2028 unterschrieben")
    await customer.api.post(f"{ROWS}/{row['id']}/lift", json=given)
    ((account, opted_out_at, consented_at, method, evidence),) = served.inbox(
        "select account_id, opted_out_at, consented_at, method, evidence from suppression_lifts"
    )
    assert account == customer.id
    assert written_time(opted_out_at) == row["created_at"]
    assert (written_time(consented_at), method, evidence) == tuple(given.values())


async def test_consent_from_before_lifts_nothing(served: Served, customer: Customer) -> None:
    """The latest word counts; of two in the same moment the opt-out."""
    row = await opt_out(served, customer)
    for consented_at in ("2020-01-01T00:00:00Z", row["created_at"]):
        answer = await customer.api.post(f"{ROWS}/{row['id']}/lift", json=consent(consented_at=consented_at))
        assert (answer.status_code, problem_of(answer)) == (409, "consent-too-old")
    assert await rows_of(customer) == [row]
    assert await customer.events(type="resubscribed") == []


async def test_no_that_is_said_again_counts_from_then(served: Served, customer: Customer) -> None:
    """The row of the first time stands, and a consent from between the two lifts nothing; a younger one does."""
    made = await customer.make()
    await served.reader.post(made["unsubscribe_url"])
    (row,) = await search(customer)
    await past(row)
    between = consent()
    await past({"created_at": between["consented_at"]})
    await served.reader.post(made["unsubscribe_url"])
    assert await search(customer) == [row]
    answer = await customer.api.post(f"{ROWS}/{row['id']}/lift", json=between)
    assert (answer.status_code, problem_of(answer)) == (409, "consent-too-old")
    assert not await customer.may_write_to()
    await past({"created_at": consent()["consented_at"]})
    assert (await customer.api.post(f"{ROWS}/{row['id']}/lift", json=consent())).status_code == 204


async def test_offset_of_a_consent_counts(served: Served, customer: Customer) -> None:
    """Moments are compared, not digits."""
    row = await opt_out(served, customer)
    ahead = row["created_at"].replace("Z", "+14:00")
    answer = await customer.api.post(f"{ROWS}/{row['id']}/lift", json=consent(consented_at=ahead))
    assert (answer.status_code, problem_of(answer)) == (409, "consent-too-old")


async def test_complaint_is_never_lifted(served: Served, customer: Customer) -> None:
    """Whoever reported it."""
    row = await add(customer, reason="complained")
    await past(row)
    for origin in ("customer", "report", "recipient"):
        served.inbox(f"update suppressions set origin = '{origin}'")
        answer = await customer.api.post(f"{ROWS}/{row['id']}/lift", json=consent())
        assert (answer.status_code, problem_of(answer)) == (409, "opt-out-is-final")
    assert not await customer.may_write_to()


@pytest.mark.parametrize("reason", ["unsubscribed", "bounced", "manual"])
async def test_what_the_customer_said_is_deleted_not_lifted(customer: Customer, reason: str) -> None:
    """A consent says nothing about it."""
    row = await add(customer, reason=reason)
    await past(row)
    answer = await customer.api.post(f"{ROWS}/{row['id']}/lift", json=consent())
    assert (answer.status_code, problem_of(answer)) == (409, "not-an-opt-out")


async def test_lifting_touches_one_row(served: Served, customer: Customer) -> None:
    """What the customer said of the same address stands."""
    made = await customer.make()
    given = [await add(customer, reason=reason) for reason in ("unsubscribed", "bounced", "manual")]
    await served.reader.post(made["unsubscribe_url"])
    own = next(row for row in await search(customer) if row["origin"] == "recipient")
    await past(own)
    assert (await customer.api.post(f"{ROWS}/{own['id']}/lift", json=consent())).status_code == 204
    assert await rows_of(customer) == given[::-1]
    assert not await customer.may_write_to()


async def test_person_may_leave_again(served: Served, customer: Customer) -> None:
    """By the very same link, and then the old consent lifts nothing."""
    made = await customer.make()
    await served.reader.post(made["unsubscribe_url"])
    (first,) = await search(customer)
    await past(first)
    given = consent()
    assert (await customer.api.post(f"{ROWS}/{first['id']}/lift", json=given)).status_code == 204
    await past({"created_at": given["consented_at"]})
    await served.reader.post(made["unsubscribe_url"])
    (second,) = await search(customer)
    assert second["id"] != first["id"]
    assert (await customer.api.post(f"{ROWS}/{first['id']}/lift", json=given)).status_code == 404
    answer = await customer.api.post(f"{ROWS}/{second['id']}/lift", json=given)
    assert (answer.status_code, problem_of(answer)) == (409, "consent-too-old")
    assert not await customer.may_write_to()


async def test_operator_may_forbid_it(tmp_path: Path) -> None:
    """403, for every row alike."""
    async with serving(tmp_path, lift="no") as served:
        customer = await served.customer()
        row = await opt_out(served, customer)
        for identifier in (row["id"], UNKNOWN):
            answer = await customer.api.post(f"{ROWS}/{identifier}/lift", json=consent())
            assert (answer.status_code, problem_of(answer)) == (403, "lift-forbidden")
        assert await rows_of(customer) == [row]


def test_setting_says_yes_or_no() -> None:
    """A word that is misspelt allows nothing by mistake: the server does not start."""
    with pytest.raises(BadSetting, match="TRACKER_LIFT is 'No'"):
        Settings(lift="No")


async def test_opt_out_from_another_account_cannot_be_lifted(served: Served, customer: Customer) -> None:
    """B-7: it is an opt-out that does not exist."""
    rook = await served.customer("Rook")
    row = await opt_out(served, rook)
    answers = [await customer.api.post(f"{ROWS}/{one}/lift", json=consent()) for one in (row["id"], UNKNOWN)]
    assert answers[0].status_code == 404
    assert (answers[0].content, fields_of(answers[0])) == (answers[1].content, fields_of(answers[1]))
    assert await rows_of(rook) == [row]
    assert not await rook.may_write_to()


async def test_lift_that_cannot_be_stored_is_not_acknowledged(served: Served, customer: Customer) -> None:
    """503, and the opt-out stands."""
    row = await opt_out(served, customer)
    with locked(served.files.inbox):
        answer = await customer.api.post(f"{ROWS}/{row['id']}/lift", json=consent())
    assert (answer.status_code, problem_of(answer)) == (503, "unavailable")
    assert await rows_of(customer) == [row]


BAD_CONSENTS: Mapping[str, tuple[Row, list[str]]] = {
    "no time": ({"method": "form", "evidence": "x"}, ["#/consented_at"]),
    "no evidence": ({"consented_at": "2026-01-01T00:00:00Z", "method": "form"}, ["#/evidence"]),
    "a time that is none": (consent(consented_at="yesterday"), ["#/consented_at"]),
    "a time before the first year": (consent(consented_at="0001-01-01T00:00:00+14:00"), ["#/consented_at"]),
    "a time to come": (consent(consented_at="2100-01-01T00:00:00Z"), ["#/consented_at"]),
    "an empty method": (consent(method=" "), ["#/method"]),
    "empty evidence": (consent(evidence=""), ["#/evidence"]),
    "a long method": (consent(method="x" * 101), ["#/method"]),
    "long evidence": (consent(evidence="x" * 2_001), ["#/evidence"]),
    "evidence with NUL": (consent(evidence="\0x"), ["#/evidence"]),
    "an unknown field": (consent(force=True), ["#/force"]),
    "three flaws": (consent(consented_at="", method="", evidence=""), ["#/consented_at", "#/method", "#/evidence"]),
}


@pytest.mark.parametrize(("given", "pointers"), BAD_CONSENTS.values(), ids=BAD_CONSENTS)
async def test_consent_is_refused_by_name(resident: Customer, given: Row, pointers: list[str]) -> None:
    """422 with a pointer to each flaw."""
    assert pointers_of(await resident.api.post(f"{ROWS}/{UNKNOWN}/lift", json=given)) == pointers
