"""Values that would be statements, headers, paths or markup, were they ever anything but values."""

import json
from urllib.parse import quote

import pytest
from httpx import Response

from tests.web.serving import EMAIL, Served
from tests.web.table import Asked, places, questions

pytestmark = pytest.mark.anyio

HOSTILE = (
    "' or '1'='1",
    "1; drop table events; --",
    '" or 1=1 --',
    "') union select id, secret_hash from api_keys --",
    "1/**/and/**/randomblob(1000000000)",
    "%' and 1=cast((select name from accounts) as integer) --",
    ":account_id",
    "?1",
    "x\r\nSet-Cookie: a=b",
    "x\x00y",
    "../../../etc/passwd",
    "😀\u202e\u2028",
    "{{7*7}}${7*7}<script>",
    "9" * 400,
    "-1",
    "1e999",
    "NaN",
    "",
)


UNKNOWN: dict[str, tuple[str, ...]] = {
    "unheard-of": (
        "' or '1'='1",
        "x') or 1=1 --",
        '" or ""="',
        "1; drop table events; --",
        "') union select id, secret_hash from api_keys --",
        "x' and randomblob(100000000) --",
        "x' || (select name from accounts) || '",
        "%' and 1=cast((select name from accounts) as integer) --",
        ":account_id",
        "?1",
        "%",
        "_",
    ),
    "nobody@example.com": ("'or'1'='1'--@example.com", "%@example.com", "x'||'y@example.com"),
}
"""Statements that would be, by a value of the same form that nobody has heard of."""


async def test_no_value_is_more_than_a_value(served: Served) -> None:
    """B-27, B-12: at every route and in every place an answer below 500, no header of theirs, and nothing lost."""
    customer = await served.customer()
    await customer.make()
    tables = served.columns()
    for place in await places(served):
        for value in HOSTILE:
            if place.place == "path" and not value:
                continue
            answer = await place.send(customer, value, quote(value, safe=""))
            assert answer.status_code < 500, (str(place), value, answer.text)
            assert "set-cookie" not in answer.headers
            assert "secret_hash" not in answer.text.replace("secret_hash from api_keys", "")
    assert served.columns() == tables
    assert served.main("select count(*) > 0 from messages") == [(1,)]


async def test_statement_is_as_unknown_as_any_word(served: Served) -> None:
    """B-27: the same status as for a harmless value, and as many rows: nothing is found by a condition of theirs."""
    customer = await served.customer()
    made = await customer.make(topic="offers", recipient={"email": EMAIL, "external_id": "crm-42"})
    await served.reader.get(made["open_url"])
    await customer.api.post("/v1/suppressions", json={"email": EMAIL, "reason": "manual", "topic": "offers"})
    assert await customer.events()
    for place in sorted(await places(served), key=makes_something):
        for harmless, statements in UNKNOWN.items():
            expected = await place.send(customer, harmless, quote(harmless, safe=""))
            for statement in statements:
                written = json.dumps(statement) if place.header else statement
                answer = await place.send(customer, written, quote(statement, safe=""))
                assert seen(answer) == seen(expected), (str(place), statement, answer.text)


def seen(answer: Response) -> tuple[int, int]:
    """The kind of answer, and how much is in it. What is put on a list is new the first time, and 201."""
    return answer.status_code // 100, answer.text.count('"created_at"') + answer.text.count('"occurred_at"')


def makes_something(place: Asked) -> bool:
    """Whether others may be answered otherwise afterwards: so all that only looks comes first."""
    return not (place.method == "GET" or place.path.endswith(("/search", "/check")))


async def test_every_place_is_tried(standing: Served) -> None:
    """Header fields, what the examples leave out, and what stands below a path with a name in it."""
    tried = {str(place) for place in await places(standing)}
    assert {str(question) for question in await questions(standing) if "{" not in question.path} - tried <= {
        "POST /v1/events/search #/type/1",
        "POST /v1/keys #/scopes/1",
        "POST /v1/suppressions/check #/recipients/1",
    }
    named = "01935f2e-7c11-7cc2-b0f5-5d9f8ac7a9d1"
    assert tried >= {
        "POST /v1/messages Idempotency-Key",
        "POST /v1/messages #/tracking/opens",
        "POST /v1/messages #/metadata/segment",
        "POST /v1/messages/batch #/recipients/0/external_id",
        "POST /v1/messages/batch #/recipients/0/metadata/segment",
        "POST /v1/events/search #/external_id",
        "POST /v1/suppressions/import #/sha256",
        f"POST /v1/suppressions/{named}/lift #/evidence",
        "POST /v1/suppressions/{*}/lift path",
    }
