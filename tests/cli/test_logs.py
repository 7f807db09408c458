"""The log: one line an entry, whatever stands in it, and nothing in it that a stranger sent."""

import json
import logging
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.server.harness import environment
from tracker.cli.logs import JsonLines, TextLines
from tracker.storage.database import Unavailable

pytestmark = pytest.mark.anyio

DOCUMENT = (Path(__file__).parents[2] / "docs" / "operations.md").read_text("utf-8")

NASTY = {
    "line ends": "a\r\nb\nc\vd\fe",
    "C0": "".join(map(chr, range(32))),
    "DEL and C1": "".join(map(chr, range(127, 160))),
    "a terminal's": "\x1b[2J\x1b]0;owned\x07",
    "separators of Unicode": "a\u2028b\u2029c\u0085d",
    "from right to left": "\u202egnp.exe",
    "a lone surrogate": "\ud83d",
    "what looks like an entry": '"}\n{"level":"critical","message":"forged"}',
    "10 KB": "x" * 10_240,
}


def a_record(message: str = "said", *arguments: object, name: str = "tracker.web", **known: Any) -> logging.LogRecord:
    record = logging.LogRecord(name, logging.WARNING, __file__, 1, message, arguments, known.pop("exc_info", None))
    record.__dict__.update(known)
    return record


def raised(error: Exception) -> Any:
    """What logging is told of an error that was raised."""
    try:
        raise error
    except type(error):
        return sys.exc_info()


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
def test_entry_is_one_line_of_ascii(text: str) -> None:
    """Exactly one valid object, whatever a text holds and wherever it stands (B-11)."""
    for record in (a_record("said: %s", text), a_record(text), a_record(route=text, method=text)):
        line = JsonLines().format(record)
        assert line.isascii()
        assert line.isprintable()
        assert json.loads(line)["level"] == "warning"
    assert len(JsonLines().format(a_record(text * 10))) < 15_000


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
def test_text_for_a_terminal_is_one_line_too(text: str) -> None:
    """What steers a terminal is shown instead of done."""
    for record in (a_record("said: %s", text), a_record(route=text)):
        assert TextLines().format(record).isprintable()


def test_fields_of_an_entry_are_the_documented_ones() -> None:
    """In this order, with the time as RFC 3339 writes it; other things a record carries stay out."""
    record = a_record(route="/v1/events", method="GET", status=200, ms=1.5, email="ada@example.com")
    record.created = 1_795_341_600.25
    assert JsonLines().format(record) == (
        '{"ts":"2026-11-22T10:00:00.250Z","level":"warning","logger":"tracker.web","message":"said",'
        '"route":"/v1/events","method":"GET","status":200,"ms":1.5}'
    )
    assert TextLines().format(record) == "WARNING tracker.web: said route=/v1/events method=GET status=200 ms=1.5"


def test_document_lists_the_fields() -> None:
    """In the order they are written."""
    rows = re.findall(r"^\| `(\w+)` \| (?:always|while|once|about)", DOCUMENT, re.MULTILINE)
    told: dict[str, Any] = {"route": "/", "method": "GET", "status": 200, "ms": 1.0}
    error = raised(ValueError())
    fields = list(json.loads(JsonLines().format(a_record(exc_info=error, **told))))
    assert rows == [*fields[:4], "request_id", "account", *fields[4:]]


def test_long_message_is_cut_and_says_so() -> None:
    """An entry stays readable."""
    message = json.loads(JsonLines().format(a_record("x" * 10_240)))["message"]
    assert message == "x" * 2_000 + "... (8,240 characters more)"


def test_trace_says_where_and_not_what() -> None:
    """The words of an error nobody foresaw repeat what it was about; those of the database do not."""
    error = ValueError("invalid literal for int() with base 10: 'ada@example.com'")
    error.__cause__ = Unavailable("SQLITE_BUSY: database is locked")
    line = JsonLines().format(a_record(exc_info=raised(error)))
    assert "ada@" not in line
    steps = json.loads(line)["exception"].splitlines()
    assert steps[:2] == ["SQLITE_BUSY: database is locked", "and from this:"]
    assert steps[2].startswith("tests.cli.test_logs:") or steps[2].startswith("test_logs:")
    assert steps[2].endswith(" raised")
    assert steps[3:] == ["ValueError"]
    text = TextLines().format(a_record(exc_info=raised(error)))
    assert text.splitlines()[-1] == "    ValueError"
    assert "ada@" not in text


def test_every_error_of_a_group_is_told() -> None:
    """Parts of the server end together."""
    group = ExceptionGroup("ada@example.com", [KeyError("ada@example.com"), OSError(28, "No space left on device")])
    line = JsonLines().format(a_record(exc_info=raised(group)))
    assert "ada@" not in line
    steps = json.loads(line)["exception"].splitlines()
    assert steps[1:4] == ["ExceptionGroup", "one of them:", "KeyError"]
    assert steps[4:] == ["one of them:", "OSError: No space left on device"]


def test_errors_that_arose_from_each_other_in_a_circle_are_told_once() -> None:
    """Python allows it."""
    one, other = ValueError(), KeyError()
    one.__cause__, other.__cause__ = other, one
    told = json.loads(JsonLines().format(a_record(exc_info=(ValueError, one, None))))["exception"]
    assert told.splitlines() == ["KeyError", "and from this:", "ValueError"]


def test_libraries_show_none_of_their_objects() -> None:
    """What follows their sentence holds what they were given."""
    shown = "Task exception was never retrieved\nfuture: <Task exception=ValueError('ada@example.com')>"
    for message, left in (
        (shown, "Task exception was never retrieved"),
        ("Exception in callback write('ada@example.com')", "Exception in callback write"),
        ("<Hit ada@example.com>", ""),
    ):
        entry = json.loads(JsonLines().format(a_record(message, name="asyncio")))
        assert (entry["logger"], entry["message"]) == ("asyncio", left)


def test_entry_with_a_mistake_in_it_is_told_all_the_same() -> None:
    """A wrong number of arguments loses no line."""
    assert json.loads(JsonLines().format(a_record("%s of %s", 1)))["message"] == "%s of %s"


PROGRAM = """
import gc, logging, sys, threading, warnings
from tracker.cli.logs import start_logging

start_logging(sys.argv[1], "auto")
logging.getLogger("tracker.demo").debug("of ours")
logging.getLogger("aiosqlite").info("ada@example.com")
logging.getLogger("uvicorn.error").warning("of a library")
warnings.warn("deprecated")

class Bad:
    def __del__(self):
        raise ValueError("ada@example.com")

def fail():
    raise KeyError("ada@example.com")

del (bad := [Bad()])[0]
thread = threading.Thread(target=fail)
thread.start()
thread.join()
fail()
"""


WARNINGS = ["of a library", "program.py:9: UserWarning: deprecated"]


def test_all_that_a_process_says_goes_through_the_log(tmp_path: Path) -> None:
    """Libraries, warnings, and errors that nobody caught: in the program, in a thread, in a destructor."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    for level, first in (("debug", ["of ours", *WARNINGS]), ("info", WARNINGS), ("error", [])):
        command = (sys.executable, str(program), level)
        ran = subprocess.run(command, cwd=tmp_path, env=environment({}), capture_output=True, text=True, check=False)
        assert ran.returncode == 1
        assert "ada@" not in ran.stderr
        entries = [json.loads(line) for line in ran.stderr.splitlines()]
        assert [entry["message"].replace(str(program), "program.py") for entry in entries] == [
            *first,
            "an error could not be raised",
            "a thread ended: nobody foresaw this error",
            "the process ends: nobody foresaw this error",
        ]
        assert [entry["level"] for entry in entries[-3:]] == ["error", "error", "critical"]
        assert entries[-1]["exception"].splitlines()[-1] == "KeyError"


@pytest.mark.parametrize(("form", "starts"), [("json", "{"), ("auto", "{"), ("text", "ERROR tracker.cli.logs: ")])
def test_form_is_chosen(tmp_path: Path, form: str, starts: str) -> None:
    """Standard error is no terminal here."""
    program = PROGRAM.replace('"auto"', repr(form))
    command = (sys.executable, "-c", program, "error")
    ran = subprocess.run(command, cwd=tmp_path, env=environment({}), capture_output=True, text=True, check=False)
    assert ran.stderr.startswith(starts)
