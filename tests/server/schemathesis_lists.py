"""Taught to schemathesis: how a list is written, whose schema is that of a row."""

import csv
import io
import json
from typing import Any

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def ndjson(_: schemathesis.SerializationContext, value: Any) -> bytes:
    """The row twice, as two lines, whatever it is."""
    line = value if isinstance(value, bytes) else json.dumps(value).encode()
    return line + b"\n" + line + b"\n"


@schemathesis.serializer("text/csv")
def table(_: schemathesis.SerializationContext, value: Any) -> bytes:
    """A table of that row; what is none is a table of one cell."""
    if isinstance(value, bytes):
        return value
    row = value if isinstance(value, dict) else {"email": value}
    cells = [cell if isinstance(cell, str) else json.dumps(cell) for cell in row.values()]
    out = io.StringIO(newline="")
    csv.writer(out).writerows([list(row), cells])
    return out.getvalue().encode("utf-8", "surrogatepass")
