"""What Tracker is measured against: uvicorn with its options, answering the same GIF and doing nothing else."""

import sys

import uvicorn

from tracker.web.tracking import PIXEL

_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [
        (b"content-type", b"image/gif"),
        (b"content-length", b"43"),
        (b"cache-control", b"no-store, no-cache, max-age=0, private"),
        (b"cross-origin-resource-policy", b"cross-origin"),
        (b"referrer-policy", b"no-referrer"),
        (b"x-content-type-options", b"nosniff"),
    ],
}
_BODY = {"type": "http.response.body", "body": PIXEL}


async def gif(scope, receive, send):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """Answer everything with the pixel."""
    await send(_START)
    await send(_BODY)


if __name__ == "__main__":
    uvicorn.run(
        gif,
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        log_level="error",
    )
