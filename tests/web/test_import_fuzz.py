"""Thousands of damaged lists: of every line it is said what became of it, and what was said holds."""

import json
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.web.serving import Served, problem_of
from tests.web.test_suppression_imports import CSV, IMPORT, NDJSON
from tests.web.test_suppression_rows import Row, rows_of
from tracker.domain.lines import Lines

pytestmark = pytest.mark.anyio

CELLS: Sequence[str] = (
    *("ada@x.de", "ADA@x.de", '"a b"@x.de', "bob@straße.de", "nobody", "", " ", "a" * 300 + "@x.de", "eve@x.de\0"),
    *("manual", "Bounced", "complained", "bored", "topic", "account", "customer", "recipient", "2024-02-30", "'=1"),
    *(
        "2024-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "0" * 64,
        "g" * 64,
        "x" * 600,
        '"',
        '""',
        "\u202e",
        "\ufeff",
        "\\",
    ),
)
HEADS = ("email", "email,note", "email;reason;topic", "E-Mail\tsha256", "sha256", "note,email")
_ENDS = st.sampled_from(("\n", "\n", "\r\n", "\r", "\n\n", "\n \n"))


@st.composite
def files(draw: st.DrawFn, lines: st.SearchStrategy[str]) -> bytes:
    """These lines with any ends; some files are damaged in their bytes."""
    content = "".join(line + draw(_ENDS) for line in draw(st.lists(lines, max_size=12))).encode()
    if draw(st.integers(0, 9)) or not content:
        return content
    place = draw(st.integers(0, len(content)))
    return content[:place] + draw(st.sampled_from((b"\xff", b"\0", b'"', b"\xef\xbb\xbf", b"\xc3"))) + content[place:]


_ROWS = st.tuples(st.sampled_from((",", ";", "\t", '","')), st.lists(st.sampled_from(CELLS), min_size=1, max_size=3))
_TABLES = st.builds(
    lambda head, rows: f"{head}\n".encode() + rows,
    st.sampled_from(HEADS),
    files(_ROWS.map(lambda row: row[0].join(row[1])) | st.text(max_size=9)),
)
_VALUES: st.SearchStrategy[object] = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(CELLS) | st.just([{}])
)
_NAMES = st.sampled_from(
    ("email", "email", "sha256", "reason", "topic", "note", "created_at", "origin", "scope", "x", "")
)
_OBJECTS = st.dictionaries(_NAMES, _VALUES, max_size=4) | _VALUES
_JSON = files(_OBJECTS.map(json.dumps) | st.text(max_size=9) | st.just('{"email": "ada@x.de"') | st.just("[" * 2_000))


def numbers(content: bytes) -> list[int]:
    """Of the lines that hold anything, as an editor counts them; the file is text."""
    lines = Lines()
    found = [*lines.feed(content), *lines.end()]
    return [line.number for line in found if line.text is None or line.text.strip()]


async def import_into_a_new_account(standing: Served, content: bytes, kind: dict[str, str]) -> Row | None:
    """The report, which adds up and is true; None where the file was refused, and nothing of it was taken."""
    customer = await standing.customer()
    answer = await customer.api.post(IMPORT, content=content, headers=kind)
    rows = await rows_of(customer, limit=1000)
    if answer.status_code != 200:
        assert problem_of(answer) in ("not-text", "invalid"), answer.text
        assert rows == []
        return None
    report: Row = answer.json()
    assert report["read"] == report["added"] + report["already"] + report["bad"]
    assert report["bad"] == len(report["errors"]) + report["errors_omitted"]
    assert report["added"] == len(rows)
    told = [error["line"] for error in report["errors"]]
    assert told == sorted(set(told))
    assert set(told) <= set(numbers(content))
    return report


def rows_in(content: bytes) -> int:
    """How many lines of a table without quotation marks are rows: all but the head and those without a cell."""
    return len(numbers(content.translate(bytes.maketrans(b",;", b"  ")))) - 1


async def hold(standing: Served, kind: dict[str, str], content: bytes) -> None:
    """The law of every file."""
    report = await import_into_a_new_account(standing, content, kind)
    if report is not None and kind is NDJSON:
        assert report["read"] == len(numbers(content))
    elif report is not None and b'"' not in content:
        assert report["read"] == rows_in(content)


FILES = _TABLES.map(lambda content: (CSV, content)) | _JSON.map(lambda content: (NDJSON, content))


@given(file=FILES)
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
async def test_every_line_of_a_damaged_list_is_counted(standing: Served, file: tuple[dict[str, str], bytes]) -> None:
    """Added, already there, or bad and told by its number; the sum is what was read, and what was added stands."""
    await hold(standing, *file)


@pytest.mark.long
@given(file=FILES)
@settings(max_examples=2_000, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
async def test_every_line_of_thousands_of_lists_is_counted(
    standing: Served, file: tuple[dict[str, str], bytes]
) -> None:
    """The same in full."""
    await hold(standing, *file)
