"""The log: one line an entry on standard error, as JSON for programs or as text for a person at a terminal."""

import json
import logging
import re
import sys
import threading
from collections.abc import Iterator
from traceback import walk_tb
from types import TracebackType
from typing import Any

from ..domain.times import written_time
from ..storage.database import reason
from ..web.requests import current_request

log = logging.getLogger(__name__)

_LONGEST_MESSAGE = 2_000
_MOST_FRAMES = 30
_TOLD = ("route", "method", "status", "ms")
_OF_OTHERS = re.compile(r"[^\n<(\[{]*")


def start_logging(level: str, form: str) -> None:
    """Log from here on, all of this process: warnings and errors that nobody caught too.

    ``level`` is about our own entries; libraries are heard from warnings on, since what they say when they debug
    holds what they were given. ``form`` is ``json``, ``text``, or ``auto``: JSON unless standard error is a terminal.
    """
    as_text = form == "text" or (form == "auto" and sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(TextLines() if as_text else JsonLines())
    handler.addFilter(_may_be_told)
    logging.basicConfig(level=level.upper(), handlers=[handler])
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    sys.unraisablehook = _unraisable
    threading.excepthook = _in_thread


def _may_be_told(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or _is_ours(record)


def _is_ours(record: logging.LogRecord) -> bool:
    return record.name.partition(".")[0] == "tracker"


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    log.critical("the process ends: nobody foresaw this error", exc_info=(kind, error, trace))


def _unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    _tell("an error could not be raised", unraisable.exc_value)


def _in_thread(failed: threading.ExceptHookArgs) -> None:
    _tell("a thread ended: nobody foresaw this error", failed.exc_value)


def _tell(sentence: str, error: BaseException | None) -> None:
    log.error(sentence, exc_info=(type(error), error, error.__traceback__) if error else None)


def entry(record: logging.LogRecord) -> dict[str, Any]:
    """What is told of a record: nothing a stranger sent, and of an error nobody foresaw where it arose.

    Its words are left out, since they may repeat what it is about.
    """
    told: dict[str, Any] = {
        "ts": written_time(int(record.created * 1000)),
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": _shortened(_message(record)),
    }
    request = current_request()
    if request is not None:
        told["request_id"] = request.id
        if request.account is not None:
            told["account"] = request.account
    told.update({name: value for name, value in record.__dict__.items() if name in _TOLD})
    if record.exc_info and record.exc_info[1] is not None:
        told["exception"] = "\n".join(_trace(record.exc_info[1]))
    return told


class JsonLines(logging.Formatter):
    """An object a line, in ASCII: what stands in a string can neither end the line nor steer a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        return json.dumps(entry(record), separators=(",", ":")).replace("\x7f", "\\u007f")


class TextLines(logging.Formatter):
    """A line an entry, and one more for each step of a trace."""

    def format(self, record: logging.LogRecord) -> str:
        """The level, who says it and what, then the rest by name."""
        told = entry(record)
        level, logger, message, trace = (told.pop(name, "") for name in ("level", "logger", "message", "exception"))
        del told["ts"]
        rest = "".join(f" {name}={_printable(str(value))}" for name, value in told.items())
        steps = "".join(f"\n    {_printable(step)}" for step in trace.splitlines())
        return f"{level.upper()} {logger}: {_printable(message)}{rest}{steps}"


def _message(record: logging.LogRecord) -> str:
    try:
        message = record.getMessage()
    except Exception:  # noqa: BLE001 - an entry with a mistake in it is better than none
        message = str(record.msg)
    if _is_ours(record):
        return message
    # What libraries show of their objects holds what those were given; it follows the sentence, in brackets.
    found = _OF_OTHERS.match(message)
    return found[0].strip() if found else ""


def _shortened(message: str) -> str:
    left_out = len(message) - _LONGEST_MESSAGE
    return f"{message[:_LONGEST_MESSAGE]}... ({left_out:,} characters more)" if left_out > 0 else message


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def _trace(error: BaseException, seen: frozenset[int] = frozenset()) -> Iterator[str]:
    """Where an error arose and how it came to us, the innermost call last; before it, what it arose from."""
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and id(before) not in seen:
        yield from _trace(before, seen | {id(error)})
        yield "and from this:"
    frames = [(frame.f_globals.get("__name__", "?"), line, frame) for frame, line in walk_tb(error.__traceback__)]
    for module, line, frame in frames[-_MOST_FRAMES:]:
        yield f"{module}:{line} {frame.f_code.co_name}"
    yield reason(error)
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield "one of them:"
            yield from _trace(one, seen | {id(error)})
