"""A body is read within its limit, and what is wrong with it is said exactly."""

from collections.abc import AsyncIterator

import pytest

from tests.web.serving import Customer, Served, ask, pointers_of, problem_of

pytestmark = pytest.mark.anyio

LIMITS = {
    "/v1/messages": (5 * 1024 * 1024, "5 MiB"),
    "/v1/messages/batch": (16 * 1024 * 1024, "16 MiB"),
    "/v1/messages/sent": (2 * 1024 * 1024, "2 MiB"),
    "/v1/events/search": (256 * 1024, "256 KiB"),
    "/v1/suppressions/check": (2 * 1024 * 1024, "2 MiB"),
}

every_route = pytest.mark.parametrize("path", LIMITS)


async def in_chunks(body: bytes) -> AsyncIterator[bytes]:
    """Sent piece by piece, without a length."""
    for start in range(0, len(body), 65_536):
        yield body[start : start + 65_536]


async def unread() -> AsyncIterator[bytes]:
    """Nobody is to ask for it."""
    yield pytest.fail("the body was read")


@every_route
async def test_body_above_the_limit_is_refused(resident: Customer, path: str) -> None:
    """413 names the limit, whether the length is announced or found out (B-23)."""
    limit, written = LIMITS[path]
    for content in (b" " * (limit + 1), in_chunks(b" " * (limit + 1))):
        answer = await resident.api.post(path, content=content)
        assert (answer.status_code, problem_of(answer)) == (413, "too-large")
        assert f"{limit:,} bytes ({written})" in answer.json()["detail"]
        assert answer.json()["limit"] == limit
        assert "connection" not in answer.headers


@every_route
async def test_body_at_the_limit_is_read(resident: Customer, path: str) -> None:
    """One byte less is taken: the limit is where it is said to be."""
    limit, _ = LIMITS[path]
    for content in (b" " * limit, in_chunks(b" " * limit)):
        answer = await resident.api.post(path, content=content)
        assert (answer.status_code, problem_of(answer)) == (400, "not-json")


async def test_announced_length_is_enough_to_refuse(resident: Customer) -> None:
    """Nobody sends 50 MB to hear that it is too much."""

    answer = await resident.api.post("/v1/messages", content=unread(), headers={"Content-Length": "50000000"})
    assert answer.status_code == 413


NOT_JSON = {
    "nothing": b"",
    "words": b"campaign=spring-sale",
    "half of it": b'{"campaign": "spring',
    "more than it": b'{"campaign": "a", "recipient": {"email": "a@example.com"}} {}',
    "another encoding": '{"campaign": "frühling"}'.encode("latin-1"),
    "UTF-16": '{"campaign": "x"}'.encode("utf-16"),
    "half a surrogate pair": b'{"campaign": "\\ud800"}',
    "the other half": b'{"campaign": "\\udc00"}',
    "NaN": b'{"campaign": "a", "recipient": {"email": "a@example.com"}, "metadata": {"k": NaN}}',
    "single quotes": b"{'campaign': 'x'}",
}


@pytest.mark.parametrize("content", NOT_JSON.values(), ids=NOT_JSON)
async def test_what_is_no_json_is_said_to_be_none(resident: Customer, content: bytes) -> None:
    """400, and why."""
    answer = await resident.api.post("/v1/messages", content=content)
    assert (answer.status_code, problem_of(answer)) == (400, "not-json")


@pytest.mark.parametrize("content", [b"[]", b"1", b'"x"', b"null", b"[" * 100_000])
async def test_json_that_is_no_object_is_wrong_as_a_whole(resident: Customer, content: bytes) -> None:
    """It is JSON, but not what is asked for: the pointer is to all of it."""
    assert pointers_of(await resident.api.post("/v1/messages", content=content)) == ["#"]


@pytest.mark.parametrize("depth", [100, 100_000])
async def test_deep_json_is_refused_and_nothing_breaks(resident: Customer, depth: int) -> None:
    """Nesting is no way to exhaust the stack (B-29)."""
    content = b'{"campaign": ' + b"[" * depth + b"]" * depth + b"}"
    answer = await resident.api.post("/v1/messages", content=content)
    assert answer.status_code in (400, 422)
    recipients = b'{"recipients": ' + b"[" * depth + b"]" * depth + b"}"
    answer = await resident.api.post("/v1/suppressions/check", content=recipients)
    assert answer.status_code in (200, 400, 422)


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 422),
        ("application/json; charset=utf-8", 422),
        ("Application/JSON", 422),
        (None, 422),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/jsonp", 415),
        ("", 415),
    ],
)
async def test_only_json_is_taken(resident: Customer, content_type: str | None, status: int) -> None:
    """415 says what to send (A2.4); a missing content type is taken for JSON."""
    headers = {"Content-Type": content_type} if content_type is not None else {}
    answer = await resident.api.post("/v1/messages", content=b"{}", headers=headers)
    assert answer.status_code == status
    if status == 415:
        assert problem_of(answer) == "unsupported-media-type"
        assert answer.headers["accept"] == "application/json"


@pytest.mark.parametrize(
    ("content", "pointer"),
    [
        (b'{"campaign": "a", "recipient": {"email": 1}}', "#/recipient/email"),
        (b'{"campaign": "a", "recipient": {"email": "a@b.example", "x/y~z": 1}}', "#/recipient/x~1y~0z"),
        (b'{"campaign": "a", "recipient": {"email": "a@b.example"}, "metadata": {"k": []}}', "#/metadata"),
        (b'{"campaign": "a", "recipient": {"email": "a@b.example"}, "metadata": {"k": 1e999}}', "#/metadata"),
        (b'{"": 1}', "#/"),
        (b'{"a - at `$.b`": 1}', "#/a - at `$.b`"),
        ('{"Überschrift": 1}'.encode(), "#/Überschrift"),
    ],
)
async def test_pointer_leads_to_the_flaw(resident: Customer, content: bytes, pointer: str) -> None:
    """As RFC 6901 writes it, whatever the names hold."""
    assert pointers_of(await resident.api.post("/v1/messages", content=content)) == [pointer]


@every_route
async def test_parameters_of_a_post_are_refused_by_name(resident: Customer, path: str) -> None:
    """What stands in the query of these is a mistake: it would not be heard."""
    assert pointers_of(await resident.api.post(f"{path}?limit=1", json={})) == ["#/limit"]


async def test_length_that_is_no_number_to_python_is_too_large(standing: Served, resident: Customer) -> None:
    """413 as for any other that is above the limit: Python reads 4,300 digits at most."""
    headers = [(b"authorization", f"Bearer {resident.key}".encode()), (b"content-length", b"9" * 5_000)]
    answer = await ask(standing.app, "POST", "/v1/events/search", headers=headers, body=b"{}")
    assert answer.status == 413
