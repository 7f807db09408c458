"""What Tracker is measured against: uvicorn with its options, giving the same answer and doing nothing else.

python -m benchmarks.bare PORT pixel|click
"""

import sys
from typing import Any

import uvicorn

from tracker.web.tracking import PIXEL

DESTINATION = "https://shop.example.com/spring?article=4711"

_COMMON = [(b"referrer-policy", b"no-referrer"), (b"x-content-type-options", b"nosniff")]
_PIXEL = [
    (b"content-type", b"image/gif"),
    (b"content-length", b"43"),
    (b"cache-control", b"no-store, no-cache, max-age=0, private"),
    (b"cross-origin-resource-policy", b"cross-origin"),
    *_COMMON,
]
_REDIRECT = [
    (b"location", DESTINATION.encode()),
    (b"content-length", b"0"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'"),
    *_COMMON,
]
_ANSWERS = {"pixel": (200, _PIXEL, PIXEL), "click": (302, _REDIRECT, b"")}


def answering(kind: str) -> Any:
    """An ASGI application that answers everything alike."""
    status, headers, content = _ANSWERS[kind]
    start = {"type": "http.response.start", "status": status, "headers": headers}
    body = {"type": "http.response.body", "body": content}

    async def application(scope, receive, send):  # type: ignore[no-untyped-def]  # noqa: ARG001
        await send(start)
        await send(body)

    return application


def serve(application: Any, port: int, lifespan: Any = "off") -> None:
    """Run it as Tracker runs uvicorn."""
    uvicorn.run(
        application,
        port=port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan=lifespan,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        log_level="error",
    )


if __name__ == "__main__":
    serve(answering(sys.argv[2]), int(sys.argv[1]))
