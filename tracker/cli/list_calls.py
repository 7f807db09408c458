"""A list of any size, cut into calls of the API, and their answers put together under the numbers of its file."""

from collections.abc import Callable

import msgspec

from ..domain.lines import BadLine
from ..web.import_rows import ImportedRow
from ..web.suppression_imports import Report
from .list_client import ListClient

_MOST_LINES = 10_000
"""Of one call: about a second of work, in which large calls of others wait."""

_MOST_BYTES = 8 * 1024 * 1024
"""Of one call, which the API allows twice as much."""


class ListCalls:
    """Gathers lines into calls. ``tell`` is called with all bad lines, in the order of the file."""

    def __init__(self, reason: str, tell: Callable[[list[BadLine]], None]) -> None:
        self.report = Report()
        self._reason = reason
        self._tell = tell
        self._flaws: list[BadLine] = []
        self._numbers: list[int] = []
        self._rows: list[bytes] = []
        self._size = 0
        self._encode = msgspec.json.Encoder().encode

    async def take(self, found: tuple[int, ImportedRow] | BadLine, client: ListClient) -> None:
        """Send it with the next call, or note what is wrong with it."""
        if isinstance(found, BadLine):
            self._flaws.append(found)
        else:
            await self._append(*found, client)
        if len(self._rows) + len(self._flaws) >= _MOST_LINES:
            await self.send(client)

    async def _append(self, number: int, row: ImportedRow, client: ListClient) -> None:
        written = self._encode(row)
        if self._size + len(written) >= _MOST_BYTES:
            await self.send(client)
        self._numbers.append(number)
        self._rows.append(written)
        self._size += len(written) + 1

    async def send(self, client: ListClient) -> None:
        """Make the next call with what there is."""
        if self._rows:
            answer = await client.add(self._rows, self._reason)
            self.report.take_in(answer.added + answer.already, answer.added)
            self._flaws += await self._flaws_in(answer, client)
        self._flaws.sort()
        self.report.leave_out(self._flaws)
        self._tell(self._flaws)
        self._flaws, self._size = [], 0
        self._rows.clear()
        self._numbers.clear()

    async def _flaws_in(self, answer: Report, client: ListClient) -> list[BadLine]:
        """Under the numbers of the file. A call tells of so many, so what is beyond the last is sent again."""
        start, flaws = 0, list[BadLine]()
        while True:
            flaws += [BadLine(self._numbers[start + error.line - 1], error.detail) for error in answer.errors]
            if not answer.errors_omitted:
                return flaws
            start += answer.errors[-1].line
            answer = await client.add(self._rows[start:], self._reason)
