"""The answers that look alike all over the API."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec
from starlette.datastructures import QueryParams
from starlette.responses import Response


def json_answer(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """``content`` in JSON."""
    return Response(msgspec.json.encode(content), status, headers, "application/json")


def json_content(content: bytes) -> Response:
    """200 with what is JSON already."""
    return Response(content, media_type="application/json")


def next_link(list_url: str, query: QueryParams, cursor: str | None) -> dict[str, str]:
    """The header that leads to the next page of a list (RFC 8288), which answers the same question from there on."""
    if cursor is None:
        return {}
    pairs: Sequence[Any] = [pair for pair in query.multi_items() if pair[0] != "cursor"]
    return {"Link": f'<{list_url}?{urlencode([*pairs, ("cursor", cursor)])}>; rel="next"'}
