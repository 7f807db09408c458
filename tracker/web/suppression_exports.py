"""The whole list of suppressions as a file, page by page: however slowly it is read, nothing is held open for it."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Annotated, NamedTuple

import msgspec
from starlette.responses import Response, StreamingResponse
from starlette.types import Send

from ..domain.csv_tables import written_record
from ..domain.ids import parse_id
from ..domain.suppressions import Suppression
from ..domain.times import written_time
from ..storage.database import Unavailable
from ..storage.suppression_rows import SuppressionFilter, SuppressionRows
from .fields import word
from .operations import Answer, Call, Endpoint, Operation
from .problems import invalid
from .suppression_questions import BadWord, SuppressionsFilter, filter_of_query, one_of

log = logging.getLogger(__name__)

_PAGE_ROWS = 500


class _Format(NamedTuple):
    media_type: str
    head: bytes
    write: Callable[[Sequence[Suppression]], bytes]


def _csv(rows: Sequence[Suppression]) -> bytes:
    return "".join(written_record(value or "" for value in msgspec.structs.astuple(row)) for row in rows).encode()


def _ndjson(rows: Sequence[Suppression]) -> bytes:
    encode = msgspec.json.Encoder().encode
    return b"".join(encode(row) + b"\n" for row in rows)


_CSV_HEAD = written_record(Suppression.__struct_fields__).encode()
_FORMATS: Mapping[str, _Format] = {
    "csv": _Format(
        "text/csv; charset=utf-8; header=present", written_record(Suppression.__struct_fields__).encode(), _csv
    ),
    "ndjson": _Format("application/x-ndjson", b"", _ndjson),
}


class ExportQuery(SuppressionsFilter, frozen=True):
    """The parameters of the export: the filters of the list, and the format."""

    format: Annotated[str, word(*_FORMATS, description="How the file is written.")] = "csv"


_EXAMPLE = written_record(Suppression.__struct_fields__) + written_record(
    [
        "01935f2e-7c11-7cc2-b0f5-5d9f8ac7a9d1",
        "Ada@Example.com",
        "manual",
        "topic",
        "offers",
        "customer",
        "asked by phone",
        "",
        "2026-11-22T10:00:00.000Z",
    ]
)

_EXPORT = Operation(
    name="export_suppressions",
    subject="Suppressions",
    method="GET",
    path="/v1/suppressions/export",
    scope="suppressions:read",
    audit="suppressions.exported",
    bulk=True,
    summary="Export suppressions",
    description="All of them, or those that match the filters, the newest first, as CSV (text/csv) or an object a line "
    "(application/x-ndjson). In CSV every cell is in quotation marks, and one that a spreadsheet would take for a "
    "formula begins with an apostrophe. An answer that breaks off before its end is not the whole list.",
    query=ExportQuery,
    answers=[
        Answer(
            status=200,
            description="The rows, after a line with the names of the columns.",
            content=str,
            media_type="text/csv",
            other_media_types=["application/x-ndjson"],
            headers=["Content-Disposition"],
            example=_EXAMPLE,
        )
    ],
)


class SuppressionExportsApi:
    """``GET /v1/suppressions/export``."""

    def __init__(self, rows: SuppressionRows) -> None:
        self._rows = rows

    def endpoints(self) -> list[Endpoint]:
        """Its part of the table."""
        return [Endpoint(_EXPORT, self.give_out)]

    async def give_out(self, call: Call[ExportQuery, None]) -> Response:
        """Every row that was there when it began and still is, the newest first, once."""
        account, which, name = call.account.id, filter_of_query(call.query), _format(call.query.format)
        chosen = _FORMATS[name]
        # Before the status is sent: what cannot be read at all is a 503.
        first = await self._page(account, which, None)
        day = written_time(time.time_ns() // 1_000_000)[:10]
        headers = {"Content-Disposition": f'attachment; filename="suppressions-{day}.{name}"'}
        if call.request.method == "HEAD":
            return Response(headers=headers, media_type=chosen.media_type)
        return _Export(self._pieces(account, which, first, chosen), headers=headers, media_type=chosen.media_type)

    async def _pieces(
        self, account: bytes, which: SuppressionFilter, rows: list[Suppression], chosen: _Format
    ) -> AsyncIterator[bytes]:
        yield chosen.head
        while rows:
            yield await asyncio.to_thread(chosen.write, rows)
            if len(rows) < _PAGE_ROWS:
                return
            rows = await self._page(account, which, parse_id(rows[-1].id))

    async def _page(self, account: bytes, which: SuppressionFilter, beyond: bytes | None) -> list[Suppression]:
        return await self._rows.page(account, which, limit=_PAGE_ROWS, beyond=beyond)


def _format(given: str) -> str:
    try:
        return one_of(tuple(_FORMATS), given)
    except BadWord as error:
        raise invalid("#/format", str(error)) from None


class _Export(StreamingResponse):
    async def stream_response(self, send: Send) -> None:
        try:
            await super().stream_response(send)
        except Unavailable as error:
            # It is left without its end, which tells the client that this is not the whole list.
            log.warning("an export was broken off: %s", error)
