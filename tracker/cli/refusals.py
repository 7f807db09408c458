"""What the server says itself, where no application is asked: short, for no cache, and the last on its connection."""


def _refusal(status: str, sentence: str, *more: str) -> bytes:
    body = f"{sentence}\r\n".encode("ascii")
    fields = (
        "content-type: text/plain; charset=utf-8",
        f"content-length: {len(body)}",
        "cache-control: no-store",
        "referrer-policy: no-referrer",
        "x-content-type-options: nosniff",
        *more,
        "connection: close",
    )
    return "\r\n".join((f"HTTP/1.1 {status}", *fields, "", "")).encode("ascii") + body


LONGEST_TARGET = 4 * 1024
"""Bytes of a request's target. The longest link of ours has some 2,800: 64, and 4/3 of a destination of 2,048."""

MOST_HEADERS = 16 * 1024
"""Bytes of a request's header section, as lines."""

NOT_HTTP = _refusal("400 Bad Request", "This is not an HTTP request.")
NO_HOST = _refusal("400 Bad Request", "A request of HTTP/1.1 has one Host field, with the name of the host.")
TOO_SLOW = _refusal("408 Request Timeout", "The request did not arrive in time. Send it again.")
TARGET_TOO_LONG = _refusal("414 URI Too Long", f"A URL may have at most {LONGEST_TARGET:,} bytes.")
HEADERS_TOO_LARGE = _refusal(
    "431 Request Header Fields Too Large", f"The header fields may have at most {MOST_HEADERS:,} bytes together."
)
FULL = _refusal("503 Service Unavailable", "Too many connections are open. Come again in a moment.", "retry-after: 1")
