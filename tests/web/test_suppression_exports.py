"""The list as a file: whole, in either format, and nothing is held open for who reads it slowly."""

import csv
import io
import json
import re

import pytest

from tests.web.serving import EMAIL, Customer, Served, pointers_of, problem_of, somebody
from tests.web.test_suppression_imports import export, sha256_of, take_in
from tests.web.test_suppression_rows import ROWS, add, rows_of
from tests.web.test_suppressions import opted_out
from tracker.domain.suppressions import Suppression

pytestmark = pytest.mark.anyio

HOSTILE = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠x", '=HYPERLINK("http://x")']


async def test_csv_has_the_columns_of_the_list(served: Served, customer: Customer) -> None:
    """RFC 4180: a header, every cell in quotation marks, CRLF; what is null is empty."""
    await opted_out(served, customer, EMAIL)
    await add(customer, topic="offers", note='said "no",\ntwice')
    answer = await customer.api.get(f"{ROWS}/export")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    disposition = answer.headers["content-disposition"]
    assert re.fullmatch(r'attachment; filename="suppressions-\d{4}-\d\d-\d\d\.csv"', disposition)
    head, *lines = csv.reader(io.StringIO(answer.text, newline=""), strict=True)
    assert tuple(head) == Suppression.__struct_fields__
    assert lines == [[value or "" for value in row.values()] for row in await rows_of(customer)]
    assert answer.text.count("\r\n") == 3
    assert re.fullmatch(r'(?:"(?:[^"]|"")*"(?:,|\r\n))+', answer.text)


async def test_ndjson_has_the_rows_of_the_list(served: Served, customer: Customer) -> None:
    """One a line, as they are: raw."""
    await opted_out(served, customer, EMAIL)
    for note in HOSTILE:
        await add(customer, somebody(), note=note)
    answer = await customer.api.get(f"{ROWS}/export", params={"format": "ndjson"})
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.headers["content-disposition"].endswith('.ndjson"')
    assert answer.content.endswith(b"}\n")
    assert [json.loads(line) for line in answer.content.splitlines()] == await rows_of(customer)


@pytest.mark.parametrize("text", HOSTILE)
async def test_no_cell_is_a_formula(resident: Customer, text: str) -> None:
    """B-15: not of a note, and not of an address."""
    email = f"=cmd{somebody()}"
    await add(resident, email, note=text, reason="bounced")
    lines = list(csv.DictReader(io.StringIO(await export(resident, reason="bounced"), newline="")))
    assert [line["note"] for line in lines if line["email"] == f"'{email}"] == [f"'{text}"]
    assert all(not re.match(r"[=+\-@\t\r\n＝＋－＠]", cell) for line in lines for cell in line.values())


async def test_filters_are_those_of_the_list(served: Served, customer: Customer) -> None:
    """Each of them."""
    await opted_out(served, customer, EMAIL)
    await add(customer, "bob@example.com", "bounced", topic="offers")
    filters = (
        {"reason": "bounced"},
        {"scope": "account"},
        {"topic": "offers"},
        {"origin": "recipient"},
        {"since": SOON},
    )
    for asked in filters:
        found = [json.loads(line) for line in (await export(customer, format="ndjson", **asked)).splitlines()]
        assert found == await rows_of(customer, **asked), asked


SOON = "2100-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("query", "pointers"),
    [
        ("format=xlsx", ["#/format"]),
        ("limit=5", ["#/limit"]),
        ("cursor=x", ["#/cursor"]),
        ("reason=bored&scope=x", ["#/reason", "#/scope"]),
        ("raw=1", ["#/raw"]),
    ],
)
async def test_question_is_refused_by_name(resident: Customer, query: str, pointers: list[str]) -> None:
    """422 before the first line."""
    assert pointers_of(await resident.api.get(f"{ROWS}/export?{query}")) == pointers


async def test_row_of_a_hash_is_exported_without_an_address(customer: Customer) -> None:
    """It is on the list, so it is in the file; read again it is a bad line, for nobody knows whose it is."""
    await take_in(customer, sha256_of(EMAIL))
    (line,) = csv.DictReader(io.StringIO(await export(customer), newline=""))
    assert (line["email"], line["reason"]) == ("", "manual")
    found = await take_in(customer, await export(customer))
    assert found["errors"] == [{"line": 2, "detail": "there is no email and no sha256"}]


async def test_every_row_is_exported_once(customer: Customer) -> None:
    """Over many pages."""
    emails = [somebody() for _ in range(1_203)]
    await take_in(customer, "\n".join(emails))
    lines = (await export(customer, format="ndjson")).splitlines()
    assert sorted(json.loads(line)["email"] for line in lines) == sorted(emails)
    for count in (499, 500, 501):
        head = "".join(f"{somebody()},t{count}\n" for _ in range(count))
        await take_in(customer, f"email,topic\n{head}")
        assert len((await export(customer, format="ndjson", topic=f"t{count}")).splitlines()) == count


async def test_head_says_what_would_come(resident: Customer) -> None:
    """Without reading the list."""
    answer = await resident.api.head(f"{ROWS}/export")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"].startswith("text/csv")


async def test_export_that_cannot_begin_is_a_503(served: Served, customer: Customer) -> None:
    """No empty file is taken for an empty list."""
    served.inbox("alter table suppressions rename to elsewhere")
    answer = await customer.api.get(f"{ROWS}/export")
    assert (answer.status_code, problem_of(answer)) == (503, "unavailable")
