"""Lists of suppressions, taken in: read as they arrive, written slice by slice, reported line by line."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ..domain.audit import AuditEntry
from ..domain.csv_tables import NoHeader
from ..domain.lines import BadLine, NotText
from ..domain.receipts import Receipt
from ..domain.suppressions import REASONS, Reason
from ..storage.suppression_imports import MOST_ROWS, SuppressionImports
from ..storage.suppression_rows import NewSuppression
from .answers import json_answer
from .bodies import KIB, MIB, check_length, read_pieces
from .import_progress import ImportProgress, cut_evenly
from .import_rows import CsvRows, ImportedRow, JsonRows, Judge, Rows
from .operations import Answer, Call, Endpoint, Operation
from .problems import Flaw, Problem, flawed, invalid
from .suppression_questions import BadWord, one_of

_PIECE = 16 * KIB
_MOST_ERRORS = 1_000

_KINDS: dict[str, type[CsvRows] | type[JsonRows]] = {"text/csv": CsvRows, "application/x-ndjson": JsonRows}


class LineError(msgspec.Struct, frozen=True):
    """A line that was left out, and why."""

    line: int
    detail: str


class Report(msgspec.Struct):
    """What became of the lines of an import; ``read`` is the sum of the three below it."""

    read: int = 0
    added: int = 0
    already: int = 0
    bad: int = 0
    errors: list[LineError] = msgspec.field(default_factory=list)
    errors_omitted: int = 0

    def leave_out(self, flaws: Sequence[BadLine]) -> None:
        """Count these lines, and tell of them while there is room."""
        told = flaws[: _MOST_ERRORS - len(self.errors)]
        self.errors += [LineError(*flaw) for flaw in told]
        self.errors_omitted += len(flaws) - len(told)
        self.bad += len(flaws)
        self.read += len(flaws)

    def take_in(self, given: int, added: int) -> None:
        """Count rows that are on the list now, of which so many are new."""
        self.read += given
        self.added += added
        self.already += given - added


class ImportQuery(msgspec.Struct, frozen=True):
    """What holds for rows that do not say otherwise."""

    reason: Reason = "manual"


class Upload(NamedTuple):
    """A list on its way in: what reads it, and its bytes in small pieces as they arrive."""

    rows: Rows
    pieces: AsyncIterator[bytes]


_ROW: Mapping[str, Any] = {
    "email": "ada@example.com",
    "reason": "unsubscribed",
    "scope": "topic",
    "topic": "offers",
    "origin": "customer",
    "note": "left the old list",
    "created_at": "2026-11-22T10:00:00Z",
}


class UploadBody:
    """A list of up to 16 MiB, which is not read before the handler does."""

    limit = 16 * MIB
    required = True
    content: Mapping[str, Any] = dict.fromkeys(_KINDS, ImportedRow)
    parts: Sequence[Any] = ()
    example = _ROW

    async def read(self, request: Request) -> Upload:
        """Raises ``Problem``: 415, and 413 for what says that it is larger; more of them come from the pieces."""
        rows = _rows_of(request)
        check_length(request, self.limit)
        return Upload(rows, read_pieces(request, self.limit, _PIECE))


_IMPORT = Operation(
    name="import_suppressions",
    subject="Suppressions",
    method="POST",
    path="/v1/suppressions/import",
    scope="suppressions:write",
    effect="inbox",
    audit="suppressions.imported",
    bulk=True,
    summary="Import suppressions",
    description="A table (text/csv) or an object a line (application/x-ndjson), in UTF-8: email or sha256, and reason, "
    "topic, note, created_at, origin. Bad lines are told and fail no other. What stands already stays as it is: the "
    "same list may be imported again, and an export too. Cut off, it goes on under its Idempotency-Key.",
    query=ImportQuery,
    body=UploadBody(),
    answers=[
        Answer(
            status=200,
            description="What became of the lines; what was added is on stable storage.",
            content=Report,
            example={
                "read": 3,
                "added": 1,
                "already": 1,
                "bad": 1,
                "errors": [{"line": 4, "detail": "email: An address has an @ in it."}],
                "errors_omitted": 0,
            },
        )
    ],
    problems=["not-text"],
)


class SuppressionImportsApi:
    """``POST /v1/suppressions/import``. What takes long is done in threads, and a little at a time."""

    def __init__(self, imports: SuppressionImports) -> None:
        self._imports = imports
        # However many import: no more than one slice at a time stands between a reader and the disk.
        self._turn = asyncio.Lock()

    def endpoints(self) -> list[Endpoint]:
        """Its part of the table."""
        return [Endpoint(_IMPORT, self.take_in)]

    async def take_in(self, call: Call[ImportQuery, Upload]) -> Response:
        """200 with a report, whatever the lines hold; what was reported as added is on stable storage."""
        progress = ImportProgress(call.once)
        judge = Judge(call.account, _reason(call.query.reason), progress.kept.at)
        # Of the whole import one entry, in the transaction of its first slice.
        entry = None if progress.begun else call.entry(None)
        taking_in = _TakingIn(self._imports, self._turn, progress, entry)
        try:
            async for piece in cut_evenly(call.body.pieces, _PIECE):
                progress.read(piece)
                await taking_in.take(await asyncio.to_thread(_judged, judge, call.body.rows, piece))
            progress.end()
            await taking_in.take(await asyncio.to_thread(_judged, judge, call.body.rows, None))
        except NotText as error:
            await taking_in.forget()
            raise Problem("not-text", f"Of the body, {error}.", line=error.line) from None
        except NoHeader as error:
            raise flawed([Flaw("#", str(error))]) from None
        return json_answer(await taking_in.reported())


class _TakingIn:
    """One import: stores what the calls before it under the same key have not, and tells of all."""

    def __init__(
        self, imports: SuppressionImports, turn: asyncio.Lock, progress: ImportProgress, entry: AuditEntry | None
    ) -> None:
        self._imports = imports
        self._turn = turn
        self._progress = progress
        self._entry = entry
        self._report = Report()
        self._given = 0

    async def take(self, found: Iterable[NewSuppression | BadLine]) -> None:
        """The next lines, in their order."""
        rows: list[NewSuppression] = []
        flaws: list[BadLine] = []
        for one in found:
            if isinstance(one, BadLine):
                flaws.append(one)
            else:
                rows.append(one)
        self._report.leave_out(flaws)
        stored = max(0, self._progress.kept.rows - self._given)
        self._given += len(rows)
        if stored < len(rows):
            self._progress.expect_the_same()
        for start in range(stored, len(rows), MOST_ROWS):
            async with self._turn:
                began = time.monotonic()
                await self._store(rows[start : start + MOST_ROWS])
                # As long again: half of the time of the disk is for those who wait for an answer.
                await asyncio.sleep(time.monotonic() - began)

    async def reported(self) -> Report:
        """What became of all lines; with a key from now on the same whenever it is asked again."""
        if not self._progress.kept.whole:
            await self._store([], whole=True)
        self._report.take_in(self._given, self._progress.kept.added)
        return self._report

    async def forget(self) -> None:
        """The list cannot be read to its end, which no other call is to be held to."""
        if (receipt := self._progress.to_forget) is not None:
            await self._imports.forget(receipt)

    async def _store(self, rows: Sequence[NewSuppression], *, whole: bool = False) -> None:
        progress = self._progress

        def receipt(added: int) -> Receipt | None:
            return progress.receipt_of(progress.next(len(rows), added, whole=whole))

        entry, self._entry = (self._entry, None) if rows else (None, self._entry)
        at = time.time_ns() // 1_000_000
        added = await self._imports.add(rows, entry, at=at, before=progress.receipt, receipt=receipt)
        progress.stored(progress.next(len(rows), added, whole=whole))


def _judged(judge: Judge, rows: Rows, data: bytes | None) -> list[NewSuppression | BadLine]:
    return list(map(judge.judged, rows.end() if data is None else rows.feed(data)))


def _reason(given: str) -> str:
    try:
        return one_of(REASONS, given)
    except BadWord as error:
        raise invalid("#/reason", str(error)) from None


def _rows_of(request: Request) -> Rows:
    kind, _, parameters = request.headers.get("content-type", "").partition(";")
    name, _, charset = parameters.partition("=")
    text = name.strip().lower() != "charset" or charset.strip(' "').lower() in ("utf-8", "utf8", "us-ascii")
    wanted = _KINDS.get(kind.strip().lower())
    if wanted is None or not text:
        detail = f"Send the body as {' or '.join(_KINDS)}, in UTF-8."
        raise Problem("unsupported-media-type", detail, headers={"Accept": ", ".join(_KINDS)})
    return wanted()
