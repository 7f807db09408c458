"""Tables are read as others write them, and a bad line takes nobody else with it."""

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tracker.domain.csv_tables import CsvTable, NoHeader, Record, guarded, unguarded, written_record
from tracker.domain.lines import BadLine, Lines

ALIASES = {"email": "email", "e_mail": "email", "email_address": "email", "hash": "hash", "note": "note"}
STARTS = "=+-@\t\r\n＝＋－＠"


def read(text: str) -> list[Record | BadLine]:
    """All of a file."""
    lines, table = Lines(), CsvTable(ALIASES, ("email", "hash"))
    return [*table.read(lines.feed(text.encode())), *table.read(lines.end()), *table.end()]


def rows(text: str) -> list[tuple[int, dict[str, str]]]:
    """A file without bad lines."""
    found = read(text)
    assert all(isinstance(one, Record) for one in found), found
    return [(one.line, dict(one.cells)) for one in found if isinstance(one, Record)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_delimiter_and_end_is_understood(delimiter: str, end: str) -> None:
    """As spreadsheets of different countries and systems write them."""
    text = end.join((f"Name{delimiter}E-Mail{delimiter}Note", f"Ada{delimiter}ada@x.de{delimiter}hi", ""))
    assert rows(text) == [(2, {"email": "ada@x.de", "note": "hi"})]


@pytest.mark.parametrize("head", ["email", "EMAIL", " e-mail ", '"Email Address"', "Email_Address", "e  mail"])
def test_header_is_known_in_any_writing(head: str) -> None:
    """Columns of other names are left out."""
    assert rows(f"id,{head},other\n1,ada@x.de,2\n") == [(2, {"email": "ada@x.de"})]


def test_file_of_one_column_needs_no_header() -> None:
    """One address a line; what spreadsheets leave at the end of a line does not matter."""
    assert rows("ada@x.de\nbob@x.de") == [(1, {"email": "ada@x.de"}), (2, {"email": "bob@x.de"})]
    assert rows("ada@x.de;;\n\n;;\nbob@x.de;;\n") == [(1, {"email": "ada@x.de"}), (4, {"email": "bob@x.de"})]


def test_empty_lines_are_left_out() -> None:
    """Before the header too; they count as lines."""
    assert rows('\n , ;\nemail,note\n\n"",""\na@x.de\n') == [(6, {"email": "a@x.de"})]


def test_quoted_cells_hold_what_they_hold() -> None:
    """Delimiters, marks and ends of lines; the number is that of the line where the record begins."""
    text = 'email,note\r\n"a@x.de","one, ""two""\r\nthree\nfour"\r\nb@x.de,"x"\r\n'
    assert rows(text) == [
        (2, {"email": "a@x.de", "note": 'one, "two"\r\nthree\nfour'}),
        (5, {"email": "b@x.de", "note": "x"}),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,first\nx,y\n", "must name the columns, and one of them must be email or hash"),
        ("ada@x.de,Ada\n", "must name the columns"),
        ("email,E-Mail\n", "names the column email twice"),
    ],
)
def test_columns_that_cannot_be_told_apart_are_an_error(text: str, words: str) -> None:
    """One that says what to write."""
    with pytest.raises(NoHeader, match=words):
        read(text)


BAD: dict[str, tuple[str, list[int | str]]] = {
    "a mark that is never closed": ('email\n"a@x.de\nb@x.de\nc@x.de\n', [-2, "b@x.de", "c@x.de"]),
    "one on the last line": ('email\na@x.de\n"b@x.de', ["a@x.de", -3]),
    "marks on two lines": ('email,note\n"a@x.de,\nb@x.de,\nc@x.de",\nd@x.de,', [-2, "b@x.de", -4, "d@x.de"]),
    "more after a quoted cell": ('email,note\n"a@x.de" x,1\nb@x.de,1\n', [-2, "b@x.de"]),
    "more after a quoted cell of two lines": ('note,email\n"a\nb"c,a@x.de\nd,b@x.de\n', [-2, -3, "b@x.de"]),
    "too many cells": ("email,note\na@x.de,1,2\nb@x.de,1,\n", [-2, "b@x.de"]),
    "a line that is too long": (f"email\n{'x' * 70_000}\nb@x.de\n", [-2, "b@x.de"]),
    "one in a quoted cell": (f'note,email\n"\n{"x" * 70_000}\n1,b@x.de\n', [-2, -3, "b@x.de"]),
    "a header that is broken": ('"email\na@x.de\n', [-1, "a@x.de"]),
}


@pytest.mark.parametrize(("text", "outcome"), BAD.values(), ids=BAD)
def test_bad_line_takes_no_other_with_it(text: str, outcome: list[int | str]) -> None:
    """What is wrong is told by its number, here a negative one, and the lines below it are read."""
    assert [-one.line if isinstance(one, BadLine) else one.cells["email"] for one in read(text)] == outcome


@given(st.text(alphabet='ab@,;"\n\r\t', max_size=60))
@example('"' * 3 + "\n" * 20 + '"x')
@example("email\n" + '"\n' * 9)
def test_every_line_is_accounted_for(text: str) -> None:
    """Whatever a file holds: each line that is not blank is the first of a record, a bad one, or within a record."""
    try:
        found = read(f"email,note\n{text}")
    except NoHeader:
        return
    numbers = [one.line for one in found]
    assert numbers == sorted(set(numbers))
    for line in Lines().feed(f"email,note\n{text}\n".encode())[1:]:
        if (line.text or "").strip('\r\n\t ,;"'):
            assert any(number <= line.number for number in numbers)


def test_long_run_of_broken_lines_is_read_in_one_go() -> None:
    """However they are broken, the work grows with the lines: a file of them holds nothing up."""
    text = "note,email\n" + '"x\n' * 50_001
    assert len(read(text)) <= 50_001
    text = "email,note\n" + ('"\n' + "\n" * 30 + '"x\n') * 1_000
    assert all(isinstance(one, BadLine) for one in read(text))


@pytest.mark.parametrize("start", STARTS)
def test_no_cell_is_a_formula(start: str) -> None:
    """B-15: whatever a cell begins with, a spreadsheet takes it for text."""
    (cell,) = next(csv.reader(io.StringIO(written_record([f"{start}1+1"]), newline="")))
    assert cell == f"'{start}1+1"
    assert guarded("a=1") == "a=1"
    assert guarded("'tis") == "'tis"


@given(st.text(alphabet=f"'a{STARTS}\"", max_size=6) | st.text())
def test_guard_is_taken_off_again(cell: str) -> None:
    """Every text is told from every other."""
    assert unguarded(guarded(cell)) == cell


_CELLS = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


@given(st.lists(st.tuples(st.text(alphabet="ab@'=+-", min_size=1, max_size=9), _CELLS), max_size=8))
def test_what_was_written_is_read_again(table: list[tuple[str, str]]) -> None:
    """Cell by cell, whatever stands in them."""
    written = written_record(["email", "note"]) + "".join(written_record(row) for row in table)
    cells = [cells for _, cells in rows(written)]
    assert [(row["email"], row.get("note", "").strip()) for row in cells] == [(a, b.strip()) for a, b in table]
