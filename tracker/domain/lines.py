"""Bytes as they come, cut into lines of text that know their numbers."""

import re
from typing import Final, NamedTuple

LONGEST_LINE: Final = 64 * 1024
"""Bytes of a line that is read."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_END = re.compile(rb"\r\n|\n|\r")


class NotText(ValueError):
    """The bytes are not text in UTF-8; ``line`` is the number of the first line that is not."""

    def __init__(self, line: int) -> None:
        super().__init__(f"line {line:,} is not text in UTF-8: save the file as UTF-8")
        self.line = line


class Line(NamedTuple):
    """A line with its end, numbered from 1; ``text`` is None where it is longer than :data:`LONGEST_LINE`."""

    number: int
    text: str | None


class BadLine(NamedTuple):
    """A line that cannot be used, and why."""

    line: int
    detail: str


class Lines:
    """Lines end as ``\\n``, ``\\r\\n`` or ``\\r``; a byte order mark at the beginning is left out."""

    def __init__(self) -> None:
        self._rest = b""
        self._number = 0
        self._overflowing = False

    def feed(self, data: bytes) -> list[Line]:
        """The lines that are complete with these bytes. Raises :class:`NotText`."""
        waiting, lines, start = self._rest + data, [], 0
        for match in _END.finditer(waiting):
            # The second half of the line's end may be still to come.
            if match.end() == len(waiting) and waiting.endswith(b"\r"):
                break
            lines.append(self._line(waiting[start : match.end()]))
            start = match.end()
        self._rest = waiting[start:]
        if len(self._rest) > LONGEST_LINE:
            self._overflowing, self._rest = True, b"\r" if self._rest.endswith(b"\r") else b""
        return lines

    def end(self) -> list[Line]:
        """The last line, if it has no end. Raises :class:`NotText`."""
        rest, self._rest = self._rest, b""
        return [self._line(rest)] if rest or self._overflowing else []

    def _line(self, raw: bytes) -> Line:
        self._number += 1
        too_long, self._overflowing = self._overflowing or len(raw) > LONGEST_LINE, False
        if self._number == 1:
            raw = raw.removeprefix(_BYTE_ORDER_MARK)
            # What spreadsheets call "Unicode text" is UTF-16.
            if b"\0" in raw:
                raise NotText(1)
        if too_long:
            return Line(self._number, None)
        try:
            return Line(self._number, raw.decode())
        except UnicodeDecodeError:
            raise NotText(self._number) from None
