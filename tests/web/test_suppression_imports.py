"""Lists are taken in line by line: a bad line is told by its number, and nobody's word is undone."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.web.serving import EMAIL, Customer, Served, locked, pointers_of, problem_of, somebody
from tests.web.test_suppression_lifts import consent
from tests.web.test_suppression_rows import ROWS, Row, add, changes, delete, rows_of, search
from tests.web.test_suppressions import opted_out
from tracker.domain.addresses import canonical

pytestmark = pytest.mark.anyio

IMPORT = f"{ROWS}/import"
CSV = {"Content-Type": "text/csv"}
NDJSON = {"Content-Type": "application/x-ndjson"}


async def take_in(customer: Customer, content: str | bytes, kind: dict[str, str] = CSV, **asked: str) -> Row:
    """The report."""
    answer = await customer.api.post(IMPORT, content=content, headers=kind, params=asked)
    assert answer.status_code == 200, answer.text
    report: Row = answer.json()
    assert report["read"] == report["added"] + report["already"] + report["bad"]
    assert report["bad"] == len(report["errors"]) + report["errors_omitted"]
    return report


def report(added: int = 0, already: int = 0) -> Row:
    """Of an import without a bad line."""
    read = added + already
    return {"read": read, "added": added, "already": already, "bad": 0, "errors": [], "errors_omitted": 0}


async def export(customer: Customer, **asked: str) -> str:
    """The list as a file."""
    answer = await customer.api.get(f"{ROWS}/export", params=asked)
    assert answer.status_code == 200, answer.text
    return answer.text


def sha256_of(email: str) -> str:
    """As docs/addresses.md says."""
    return hashlib.sha256(canonical(email).encode()).hexdigest()


FILES: dict[str, str | bytes] = {
    "one address a line": "{0}\n{1}",
    "with ends of lines as in Windows": "email\r\n{0}\r\n{1}\r\n",
    "with semicolons": "name;email;topic\nAda;{0};\nBob;{1};\n",
    "with tabs": "email\tname\n{0}\tAda\n{1}\tBob\n",
    "in quotation marks": '"email","name"\n"{0}","Ada, Countess"\n"{1}","Bob"\n',
    "with a byte order mark": "\ufeffemail\n{0}\n{1}\n",
    "as Mailchimp writes it": '"Email Address","First Name",UNSUB_TIME\n"{0}",Ada,"2026-01-02 03:04:05"\n"{1}",B,\n',
    "as SendGrid writes it": "email,created\n{0},1763806800\n{1},1763806800\n",
    "with spaces around": " Email , name\n {0} , x\n\t{1}\t,y\n",
    "with a formula's guard": "email\n'={0}\n'+{1}\n",
}


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
async def test_every_kind_of_csv_is_understood(resident: Customer, text: str) -> None:
    """From the answer on, a check says so."""
    one, two = somebody(), somebody()
    assert await take_in(resident, text.format(one, two)) == report(added=2)
    signs = ("=", "+") if "'=" in text else ("", "")
    checked = await resident.check(signs[0] + one, signs[1] + two)
    assert [(entry["allowed"], entry["reason"]) for entry in checked] == [(False, "manual")] * 2


async def test_row_of_an_import_is_a_row_like_any_other(customer: Customer) -> None:
    """All its columns are kept, and its own time; what is no column of ours is left out."""
    line = {
        "email": EMAIL,
        "reason": "bounced",
        "topic": "offers",
        "note": "550 =no such user\n",
        "created_at": "2024-02-29T01:02:03.004Z",
        "id": "x",
        "score": [1],
    }
    assert await take_in(customer, json.dumps(line), NDJSON) == report(added=1)
    (row,) = await rows_of(customer)
    expected = {name: line[name] for name in ("email", "reason", "topic", "note", "created_at")}
    assert {name: row[name] for name in expected} == expected
    assert (row["scope"], row["origin"], row["message_id"]) == ("topic", "customer", None)


async def test_reason_of_rows_that_give_none_is_the_calls(resident: Customer) -> None:
    """And a row's own goes before it, in any case."""
    one, two = somebody(), somebody()
    await take_in(resident, f"email,reason\n{one},\n{two},Complained\n", reason="bounced")
    assert [entry["reason"] for entry in await resident.check(one, two)] == ["bounced", "complained"]


@pytest.mark.parametrize("email", ["Ada+x@Example.com", "José@straße.de", '"B ob"@example.com'])
async def test_hash_matches_every_spelling_of_its_address(resident: Customer, email: str) -> None:
    """It shows no address, for none is known."""
    digest = sha256_of(email)
    assert await take_in(resident, f"sha256\n{digest.upper()}\n") == report(added=1)
    assert not await resident.may_write_to(email)
    assert not await resident.may_write_to(email[:2].swapcase() + email[2:])
    (row,) = await search(resident, email)
    assert row["email"] is None
    assert await take_in(resident, digest) == report(already=1)
    assert await take_in(resident, json.dumps({"email": email}), NDJSON) == report(already=1)


BAD_CELLS: dict[str, tuple[Row, str]] = {
    "no address": ({"email": "ada"}, "email: An address has an @ in it."),
    "nobody": ({"note": "x"}, "there is no email and no sha256"),
    "two names of one": ({"email": EMAIL, "sha256": "0" * 64}, "give email or sha256, not both"),
    "no hash": ({"sha256": "0" * 63}, "sha256: must have 64 hexadecimal digits"),
    "a hash of other digits": ({"sha256": "g" * 64}, "sha256: must have 64 hexadecimal digits"),
    "a reason that is none": (
        {"email": EMAIL, "reason": "bored"},
        "reason: must be one of unsubscribed, complained, bounced, manual",
    ),
    "a topic with a slash": ({"email": EMAIL, "topic": "a/b"}, "topic: must not contain a slash"),
    "a scope without its topic": (
        {"email": EMAIL, "scope": "topic"},
        "scope: is topic where a topic is named, and account everywhere else",
    ),
    "a topic of the account": (
        {"email": EMAIL, "scope": "account", "topic": "a"},
        "scope: is topic where a topic is named, and account everywhere else",
    ),
    "an origin that is none": (
        {"email": EMAIL, "origin": "me"},
        "origin: must be one of recipient, customer, report",
    ),
    "a bounce the person said": (
        {"email": EMAIL, "origin": "recipient", "reason": "bounced"},
        "origin: is recipient only with the reason unsubscribed or complained",
    ),
    "a long note": ({"email": EMAIL, "note": "x" * 501}, "note: must have at most 500 characters"),
    "a note with NUL": ({"email": EMAIL, "note": "\0"}, "note: must not contain NUL or half a surrogate pair"),
    "a day that never was": (
        {"email": EMAIL, "created_at": "2026-02-30T00:00:00Z"},
        "created_at: not a time: there is no such day",
    ),
    "a day to come": ({"email": EMAIL, "created_at": "2126-01-01T00:00:00Z"}, "created_at: lies in the future"),
}


@pytest.mark.parametrize(("row", "detail"), BAD_CELLS.values(), ids=BAD_CELLS)
async def test_bad_row_is_told_and_fails_no_other(standing: Served, resident: Customer, row: Row, detail: str) -> None:
    """In either format, by the number of its line; its neighbours are taken in."""
    before = standing.suppressions()
    for kind in (CSV, NDJSON):
        lines = [{"email": somebody()}, row, {"email": somebody()}]
        found = await take_in(resident, file_of(lines, kind), kind)
        line = 3 if kind is CSV else 2
        assert found == {**report(added=2), "read": 3, "bad": 1, "errors": [{"line": line, "detail": detail}]}
    assert standing.suppressions() == before + 4


def file_of(rows: Sequence[Row], kind: dict[str, str]) -> str:
    """The rows as a file of that kind."""
    if kind is NDJSON:
        return "".join(json.dumps(row) + "\n" for row in rows)
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [names, *([row.get(name, "") for name in names] for row in rows)]
    return "".join(";".join(f'"{cell}"' for cell in line) + "\r\n" for line in lines)


async def test_what_is_no_object_is_a_bad_line(resident: Customer) -> None:
    """Empty lines are none at all."""
    lines = ["[1]", "", "{", '{"email": 7}', "null", f'{{"email": "{somebody()}"}}', '{"a":' * 5_000]
    found = await take_in(resident, "\n".join(lines), NDJSON)
    assert [error["line"] for error in found["errors"]] == [1, 3, 4, 5, 7]
    assert found["errors"][2]["detail"] == "email: Expected str | null, got int"
    assert (found["added"], found["read"]) == (1, 6)


async def test_only_the_first_thousand_bad_lines_are_told(resident: Customer) -> None:
    """The others are counted."""
    found = await take_in(resident, "x\n" * 1_500)
    assert (found["bad"], found["errors_omitted"]) == (1_500, 500)
    assert [error["line"] for error in found["errors"]] == list(range(1, 1_001))


async def test_lines_are_counted_through_cells_of_several(resident: Customer) -> None:
    """An editor finds them by these numbers, wherever the body was cut."""
    notes = "\n".join(f'{somebody()},"one\r\ntwo\n{"x" * 400}"\nbad,' for _ in range(200))
    found = await take_in(resident, f"email,note\n{notes}\n")
    assert [error["line"] for error in found["errors"]] == list(range(5, 5 + 4 * 200, 4))


async def test_empty_file_is_an_empty_report(resident: Customer) -> None:
    """As is one of a header alone."""
    for content in ("", "\n", "email,reason\n", "\ufeff"):
        assert await take_in(resident, content) == report()
    assert await take_in(resident, "", NDJSON) == report()


@pytest.mark.parametrize(
    ("content", "line"), [("email\na@x.de\njosé@x.de\n".encode("latin-1"), 3), (b"\xff\xfea\0", 1)]
)
async def test_other_encodings_are_refused(resident: Customer, content: bytes, line: int) -> None:
    """400 that names the line: addresses read wrongly would be other people's."""
    answer = await resident.api.post(IMPORT, content=content, headers=CSV)
    assert (answer.status_code, problem_of(answer)) == (400, "not-text")
    assert answer.json()["line"] == line
    assert f"line {line} is not text in UTF-8" in answer.json()["detail"]


@pytest.mark.parametrize(
    "kind", ["application/json", "text/csv; charset=iso-8859-1", "multipart/form-data; boundary=x", "text/plain", ""]
)
async def test_other_kinds_of_body_are_refused(resident: Customer, kind: str) -> None:
    """415 that lists those which are read."""
    answer = await resident.api.post(IMPORT, content="a@x.de", headers={"Content-Type": kind})
    assert (answer.status_code, problem_of(answer)) == (415, "unsupported-media-type")
    assert answer.headers["accept"] == "text/csv, application/x-ndjson"


@pytest.mark.parametrize("kind", ["text/csv; charset=utf-8", "Text/CSV;charset=UTF-8", "text/csv; header=present"])
async def test_kind_of_body_is_written_in_many_ways(resident: Customer, kind: str) -> None:
    """All of them say CSV in UTF-8."""
    assert (await take_in(resident, somebody(), {"Content-Type": kind}))["added"] == 1


async def test_question_is_refused_by_name(resident: Customer) -> None:
    """And so is a table whose columns nobody can tell apart."""
    for query, pointer in (("reason=bored", "#/reason"), ("topic=a", "#/topic")):
        assert pointers_of(await resident.api.post(f"{IMPORT}?{query}", content="", headers=CSV)) == [pointer]
    answer = await resident.api.post(IMPORT, content="name,first\nx,y\n", headers=CSV)
    assert pointers_of(answer) == ["#"]
    assert "line 1 must name the columns" in answer.json()["detail"]


async def test_call_has_a_limit(resident: Customer) -> None:
    """16 MiB, said or sent: 413 that names it."""

    async def body() -> Any:
        for _ in range(17):
            yield (b"x" * 1_023 + b"\n") * 1_024

    for content in (b"x" * (16 * 1024 * 1024 + 1), body()):
        answer = await resident.api.post(IMPORT, content=content, headers=CSV)
        assert (answer.status_code, problem_of(answer)) == (413, "too-large")
        assert answer.json()["limit"] == 16 * 1024 * 1024


async def test_second_import_changes_nothing(customer: Customer) -> None:
    """So that one that failed may be repeated whole."""
    content = "email,reason,note\n" + "".join(f"{somebody()},bounced,first\n" for _ in range(300))
    assert await take_in(customer, content) == report(added=300)
    before = await rows_of(customer, limit=1000)
    assert await take_in(customer, content.replace("first", "second")) == report(already=300)
    assert await rows_of(customer, limit=1000) == before


async def test_import_that_fails_is_repeated_whole(served: Served, customer: Customer) -> None:
    """503 while the disk does not write, and nothing of it is lost or doubled afterwards."""
    content = "".join(f"{somebody()}\n" for _ in range(300))
    with locked(served.files.inbox):
        answer = await customer.api.post(IMPORT, content=content, headers=CSV)
    assert (answer.status_code, problem_of(answer)) == (503, "unavailable")
    assert "retry-after" in answer.headers
    found = await take_in(customer, content)
    assert found["added"] + found["already"] == 300
    assert served.suppressions() == 300


async def test_log_of_changes_has_what_was_imported(customer: Customer) -> None:
    """Under numbers without holes, at the time of the import and not that of the row."""
    lines = "".join(f"{somebody()},2020-01-01T00:00:00Z\n" for _ in range(300))
    await take_in(customer, f"email,created_at\n{lines}")
    found = await changes(customer, limit="1000")
    assert [entry["sequence"] for entry in found] == list(range(1, 301))
    assert {(entry["change"], entry["created_at"]) for entry in found} == {("added", "2020-01-01T00:00:00.000Z")}
    assert all(entry["changed_at"] > "2026" and entry["email"] for entry in found)


async def test_import_reaches_nobody_else(served: Served, customer: Customer) -> None:
    """Not even of the same address."""
    rook = await served.customer("Rook")
    await take_in(customer, EMAIL)
    assert await rook.may_write_to(EMAIL)
    assert await rows_of(rook) == await changes(rook) == []
    assert await export(rook, format="ndjson") == ""


async def test_import_needs_its_scope(served: Served) -> None:
    """One that only reads imports nothing, one that only writes exports nothing."""
    for scope, method, path in (("suppressions:read", "POST", "import"), ("suppressions:write", "GET", "export")):
        one = await served.customer("Larkspur", [scope])
        answer = await one.api.request(method, f"{ROWS}/{path}", headers=CSV)
        assert (answer.status_code, problem_of(answer)) == (403, "missing-scope")


async def test_imported_opt_out_deleted_leaves_the_persons_own_standing(served: Served, customer: Customer) -> None:
    """And so does a manual block that is removed."""
    await opted_out(served, customer, EMAIL)
    own = await search(customer)
    assert await take_in(customer, f"email,reason\n{EMAIL},unsubscribed\n{EMAIL},manual\n") == report(added=2)
    for row in await search(customer):
        assert await delete(customer, row) == (409 if row["origin"] == "recipient" else 204)
    assert await search(customer) == own
    assert not await customer.may_write_to()


async def test_import_touches_no_word_of_the_person(served: Served, customer: Customer) -> None:
    """Whatever the file says of it: neither its time nor its note."""
    await opted_out(served, customer, EMAIL)
    before = await rows_of(customer)
    line = {"email": EMAIL, "reason": "unsubscribed", "origin": "recipient", "created_at": "2001-01-01T00:00:00Z"}
    assert await take_in(customer, json.dumps({**line, "note": "x"}), NDJSON) == report(already=1)
    assert await rows_of(customer) == before


async def test_what_was_lifted_or_deleted_comes_back_only_when_it_is_imported(
    served: Served, customer: Customer
) -> None:
    """An import of other rows brings nobody back, and none takes anybody off."""
    row = await add(customer)
    file = await export(customer)
    await delete(customer, row)
    await take_in(customer, somebody())
    assert await customer.may_write_to()
    assert await take_in(customer, file) == report(added=1)
    assert not await customer.may_write_to()


async def test_export_comes_home_without_a_trace(served: Served, customer: Customer) -> None:
    """Rows of every origin are the rows that stand: nothing is added, lifted or weakened."""
    await opted_out(served, customer, EMAIL)
    await add(customer, reason="complained", note="=1+1")
    await add(customer, topic="=offers", note="'quoted'")
    await take_in(customer, f"email,reason,origin\n{somebody()},bounced,report\n")
    before = await rows_of(customer)
    for name, kind in (("csv", CSV), ("ndjson", NDJSON)):
        assert await take_in(customer, await export(customer, format=name), kind) == report(already=4)
    assert await rows_of(customer) == before


@pytest.mark.parametrize(("name", "kind"), [("csv", CSV), ("ndjson", NDJSON)])
async def test_opt_outs_hold_where_they_are_moved_to(served: Served, name: str, kind: dict[str, str]) -> None:
    """A person's own word stays final in the other place, and gives way to a younger consent as it did here."""
    old, new = await served.customer("Old"), await served.customer("New")
    await opted_out(served, old, EMAIL)
    await add(old, reason="complained")
    assert await take_in(new, await export(old, format=name), kind) == report(added=2)
    there, here = await rows_of(new), await rows_of(old)
    same = ("email", "reason", "scope", "topic", "origin", "note", "created_at")
    assert sorted([row[key] or "" for key in same] for row in there) == sorted(
        [row[key] or "" for key in same] for row in here
    )
    assert [await delete(new, row) for row in there] == [409, 409]
    (own,) = await rows_of(new, origin="recipient")
    answer = await new.api.post(f"{ROWS}/{own['id']}/lift", json=consent(consented_at=own["created_at"]))
    assert (answer.status_code, problem_of(answer)) == (409, "consent-too-old")
    assert (await new.api.post(f"{ROWS}/{own['id']}/lift", json=consent())).status_code == 204
    (event,) = await new.events()
    assert (event["type"], event["method"], event["message_id"]) == ("resubscribed", "lift", None)


async def test_person_who_leaves_again_makes_an_imported_opt_out_their_own(served: Served, customer: Customer) -> None:
    """A consent from before that day lifts it no more, whatever time the import gave."""
    line = {"email": EMAIL, "reason": "unsubscribed", "origin": "recipient", "created_at": "2001-01-01T00:00:00Z"}
    made = await customer.make()
    await take_in(customer, json.dumps(line), NDJSON)
    await served.reader.post(made["unsubscribe_url"])
    (row,) = await search(customer)
    assert (row["message_id"], row["created_at"] > "2026") == (made["id"], True)
    answer = await customer.api.post(f"{ROWS}/{row['id']}/lift", json=consent(consented_at="2020-01-01T00:00:00Z"))
    assert (answer.status_code, problem_of(answer)) == (409, "consent-too-old")
    assert [event["type"] for event in await customer.events()] == ["unsubscribed"]
    assert [entry["change"] for entry in await changes(customer)] == ["added", "removed", "added"]


ROW = st.fixed_dictionaries(
    {
        "email": st.sampled_from(["=ada@x.de", "ADA@x.de", "'+b@x.de", "-b@x.de", "josé@straße.de", '"c, d"@x.de']),
        "reason": st.sampled_from(["unsubscribed", "complained", "bounced", "manual"]),
        "topic": st.sampled_from(["", "offers", "=topic", "'@news", "a;b,c", '"quoted"']),
        "origin": st.sampled_from(["customer", "report"]),
        "note": st.text(alphabet="=+-@'\"\t\r\n,;x＝", max_size=6),
    }
)


@given(rows=st.lists(ROW, max_size=8), name=st.sampled_from(["csv", "ndjson"]))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_export_makes_the_same_list_elsewhere(standing: Served, rows: list[Row], name: str) -> None:
    """Whatever stands in its cells: every check is answered alike, and every row is the same but for its id."""
    here, there = await standing.customer(), await standing.customer()
    await take_in(here, "".join(json.dumps(row) + "\n" for row in rows), NDJSON)
    file = await export(here, format=name)
    found = await take_in(there, file, CSV if name == "csv" else NDJSON)
    assert (found["already"], found["bad"]) == (0, 0)
    emails = [row["email"] for row in rows]
    for topic in {None, *(row["topic"] or None for row in rows)}:
        asked = {"topic": topic} if topic else {}
        assert await here.check(*emails, **asked) == await there.check(*emails, **asked)
    assert [{**row, "id": ""} for row in sorted_rows(await rows_of(here))] == [
        {**row, "id": ""} for row in sorted_rows(await rows_of(there))
    ]


def sorted_rows(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: msgspec.json.encode({**row, "id": ""}))
