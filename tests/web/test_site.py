"""Whatever is asked, the host answers in a way nothing keeps and nothing learns from."""

import logging
from typing import Any

import httpx
import pytest

from tests.web.serving import (
    BASE_URL,
    SAFE,
    Customer,
    Served,
    ask,
    click_of,
    client_of,
    pointers_of,
    problem_of,
    serving,
    somebody,
)

pytestmark = pytest.mark.anyio

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW")
UNKNOWN = ("/nothing", "/favicon.ico", "/o", "/c", "/u", "/u/", "/p/x", "/u/x/y", "//", "/v1", "/v1/", "/v1/nothing")
KNOWN = {
    "/": "GET, HEAD",
    "/robots.txt": "GET, HEAD",
    "/livez": "GET, HEAD",
    "/readyz": "GET, HEAD",
    "/v1/messages": "POST",
    "/v1/messages/x": "GET, HEAD",
    "/v1/events": "GET, HEAD",
    "/v1/events/feed": "GET, HEAD",
    "/v1/events/search": "POST",
    "/v1/campaigns/x": "DELETE",
    "/v1/suppressions/check": "POST",
    "/u/x": "GET, HEAD, POST",
    "/o/x": "GET, HEAD",
    "/c/x": "GET, HEAD",
}


async def test_every_answer_is_for_no_cache_and_no_referrer(standing: Served, resident: Customer) -> None:
    """Errors included, with each method, for people and for programs (A2.3, A2.7)."""
    made = await resident.make()
    good = ["unsubscribe_url", "open_url", "preferences_url"]
    paths = [*UNKNOWN, *KNOWN, *(made[name].removeprefix(BASE_URL) for name in good), click_of(made)[len(BASE_URL) :]]
    key = [(b"authorization", f"Bearer {resident.key}".encode())]
    for path in paths:
        for method in METHODS:
            for headers in ([], key):
                answer = await ask(standing.app, method, path, headers=headers)
                fields = answer.fields
                assert "no-store" in fields.pop("cache-control"), (method, path)
                assert {**SAFE, **fields, "cache-control": "no-store"}.items() >= SAFE.items()
                assert fields["referrer-policy"] == "no-referrer"
                assert fields["x-content-type-options"] == "nosniff"
                assert "set-cookie" not in fields
                assert "server" not in fields
                assert "etag" not in fields
                assert answer.status < 500


@pytest.mark.parametrize(("path", "allow"), KNOWN.items(), ids=KNOWN)
async def test_wrong_method_is_answered_with_the_right_ones(standing: Served, path: str, allow: str) -> None:
    """405 with Allow: a page for people, a problem for programs (A2.2)."""
    for method in METHODS:
        answer = await standing.reader.request(method, path)
        if method in allow.split(", "):
            assert answer.status_code != 405
            continue
        assert (answer.status_code, answer.headers["allow"]) == (405, allow)
        if method == "HEAD":
            assert answer.content == b""
        elif path.startswith(("/v1", "/livez", "/readyz")):
            assert problem_of(answer) == "method-not-allowed"
            assert allow in answer.json()["detail"]
        else:
            assert answer.headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize("path", UNKNOWN)
async def test_what_is_not_there_is_said_not_to_be(standing: Served, path: str) -> None:
    """404, never a redirect: a page for people, a problem for programs."""
    for method in ("GET", "POST"):
        answer = await ask(standing.app, method, path)
        assert answer.status == 404
        assert "location" not in answer.fields
        program = path.startswith("/v1")
        assert answer.fields["content-type"] == ("application/problem+json" if program else "text/html; charset=utf-8")


async def test_known_routes_with_a_slash_more_are_not_there(standing: Served, resident: Customer) -> None:
    """Nothing is redirected to where it might have been meant."""
    for path in KNOWN:
        if path not in ("/", "/o/x", "/c/x"):
            answer = await resident.api.get(f"{path}/")
            assert (answer.status_code, "location" in answer.headers) == (404, False), path


async def test_root_says_what_this_host_is_and_whom_to_tell_of_abuse(served: Served) -> None:
    """Whoever looks up the host behind a link learns what it does."""
    folder = served.files.main.parent / "contact"
    folder.mkdir()
    async with serving(folder, abuse_contact="mailto:abuse@t.example.com") as other:
        answer = await other.reader.get("/")
    assert answer.status_code == 200
    assert "delivers the pictures and links of e-mails its customers send" in answer.text
    assert 'href="mailto:abuse@t.example.com"' in answer.text


async def test_crawlers_stay_out(standing: Served) -> None:
    """robots.txt disallows all."""
    answer = await standing.reader.get("/robots.txt")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text == "User-agent: *\nDisallow: /\n"


async def test_host_of_a_request_is_not_repeated(standing: Served, resident: Customer) -> None:
    """What is built into an answer comes from the settings, never from the request (A2.5, A2.6)."""
    forged = {
        "Host": "evil.example",
        "X-Forwarded-Host": "evil.example",
        "Forwarded": "for=evil.example;host=evil.example",
        "X-Forwarded-For": "evil.example",
    }
    made = {"campaign": "a", "recipient": {"email": "a@example.com"}, "html": '<a href="https://x.example/">x</a>'}
    answers = [
        await resident.api.post("/v1/messages", json=made, headers=forged),
        await resident.api.get("/v1/nothing", headers=forged),
        await resident.api.get("/v1/events?foo=1", headers=forged),
        await standing.reader.get("/", headers=forged),
        await standing.reader.get("/nothing", headers=forged),
    ]
    for answer in answers:
        assert "evil.example" not in f"{answer.headers}{answer.text}"


async def test_error_nobody_foresaw_says_nothing(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    """500: a page or a problem without a word of what happened, for no cache either (A7.4)."""
    customer = await served.customer()
    made = await customer.make()
    # What cannot happen: metadata that is no JSON.
    served.main("update messages set metadata = '{secret'")
    with caplog.at_level(logging.ERROR):
        answers = [
            await customer.api.get(f"/v1/messages/{made['id']}"),
            await served.reader.get(made["unsubscribe_url"]),
        ]
    for answer in answers:
        assert answer.status_code == 500
        assert SAFE.items() <= dict(answer.headers).items()
        assert "secret" not in answer.text
        assert "Traceback" not in answer.text
    assert problem_of(answers[0]) == "failed"
    assert "The fault is ours" in answers[1].text


async def test_types_of_problems_stand_on_the_base_url(standing: Served) -> None:
    """One place to read about them, wherever the request went."""
    answer = await standing.reader.get("/v1/nothing", headers={"Host": "elsewhere.example"})
    assert answer.json()["type"] == f"{BASE_URL}/problems/not-found"


async def test_unicode_and_broken_paths_are_just_not_there(standing: Served) -> None:
    """Nothing in a path breaks the answer."""
    app: Any = standing.app
    for path in ("/\x00", "/ä", "/\ud83d", "/%", "/\r\nSet-Cookie: a=b", "/" + "a" * 100_000, "/..", "/u/\x00"):
        answer = await ask(app, "GET", path.encode("utf-8", "replace").decode())
        assert answer.status == 404
        assert all(b"\r" not in value and b"\n" not in value for _, value in answer.headers)


async def test_parameters_where_there_are_none_are_refused(resident: Customer) -> None:
    """A route of the API ignores nothing (by name)."""
    made = await resident.make(recipient={"email": somebody()})
    assert pointers_of(await resident.api.get(f"/v1/messages/{made['id']}?expand=events")) == ["#/expand"]


async def test_parameters_on_the_recipients_side_are_ignored(standing: Served, resident: Customer) -> None:
    """Mail programs and analysts of others add their own; no reader suffers for it."""
    made = await resident.make(recipient={"email": somebody()})
    reader: httpx.AsyncClient = client_of(standing.app)
    for url, status in ((made["open_url"], 200), (click_of(made), 302), (made["unsubscribe_url"], 200)):
        assert (await reader.get(f"{url}?utm_source=x&fbclid=y")).status_code == status
