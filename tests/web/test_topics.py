"""Topics are made by their first use or by name, listed in that order, and cleared away without a loss."""

import re
from typing import Any
from urllib.parse import quote, unquote

import pytest

from tests.web.serving import BASE_URL, EMAIL, Customer, Served, ask, fields_of, path_of, pointers_of, problem_of

pytestmark = pytest.mark.anyio

TOPICS = "/v1/topics"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


async def listed(customer: Customer) -> list[tuple[str, int]]:
    """The names of the topics, with the number of their messages."""
    answer = await customer.api.get(TOPICS)
    assert answer.status_code == 200, answer.text
    return [(topic["name"], topic["messages"]) for topic in answer.json()["data"]]


async def test_topic_is_made_by_its_first_use(served: Served, customer: Customer) -> None:
    """With a message, or a batch of them; a message without one makes none."""
    made = await customer.make(topic="offers")
    await customer.make()
    recipients = [{"email": f"r{n}@example.com"} for n in range(3)]
    for topic in ("offers", "news"):
        batch = {"campaign": "a", "topic": topic, "recipients": recipients}
        assert (await customer.api.post("/v1/messages/batch", json=batch)).status_code == 200
    assert await listed(customer) == [("offers", 4), ("news", 3)]
    found = (await customer.api.get(f"{TOPICS}/offers")).json()
    assert found == {"name": "offers", "created_at": made["created_at"], "messages": 4}


async def test_put_makes_a_topic_once(served: Served, customer: Customer) -> None:
    """201 and where it is, then 200 and the same; a body may be left out or empty."""
    made = await customer.api.put(f"{TOPICS}/offers", json={})
    assert made.status_code == 201
    assert made.headers["location"] == f"{BASE_URL}{TOPICS}/offers"
    assert TIME.fullmatch(made.json()["created_at"])
    await customer.make(topic="offers")
    again = await customer.api.put(f"{TOPICS}/offers")
    assert again.status_code == 200
    assert again.json() == {**made.json(), "messages": 1}
    assert await listed(customer) == [("offers", 1)]


async def test_deleted_topic_is_gone_from_the_list_alone(served: Served, customer: Customer) -> None:
    """Messages and opt-outs keep its name; the next message makes it anew."""
    made = await customer.make(topic="offers")
    await served.reader.post(made["unsubscribe_url"])
    served.inbox("update suppressions set scope = 'topic', topic = 'offers'")
    deleted = await customer.api.delete(f"{TOPICS}/offers")
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert await listed(customer) == []
    assert (await customer.api.get(f"/v1/messages/{made['id']}")).json()["topic"] == "offers"
    assert [answer["allowed"] for answer in await customer.check(EMAIL, topic="offers")] == [False]
    assert (await customer.api.delete(f"{TOPICS}/offers")).status_code == 404
    await customer.make(topic="offers", recipient={"email": "other@example.com"})
    assert await listed(customer) == [("offers", 1)]


@pytest.mark.parametrize("name", ["grün", "gru\u0308n"])
async def test_names_are_compared_after_normalisation(resident: Customer, name: str) -> None:
    """ü typed in two ways is one topic (NFC), in a path as in a message."""
    await resident.make(topic="grün")
    path = f"{TOPICS}/{quote(name)}"
    assert (await resident.api.get(path)).json()["name"] == "grün"
    assert (await resident.api.put(path)).status_code == 200
    assert (await resident.api.delete(path)).status_code == 204


@pytest.mark.parametrize("name", [".", ".."])
async def test_name_that_no_url_can_hold_is_refused(standing: Served, resident: Customer, name: str) -> None:
    """RFC 3986, section 5.2.4: clients take . and .. out of a path, however they are written."""
    headers = [(b"authorization", f"Bearer {resident.key}".encode())]
    assert (await ask(standing.app, "PUT", f"{TOPICS}/{name}", headers=headers)).status == 422
    message = {"campaign": "c", "recipient": {"email": EMAIL}}
    for field in ("campaign", "topic"):
        refused = await resident.api.post("/v1/messages", json={**message, field: name})
        assert pointers_of(refused) == [f"#/{field}"]
        batch = {"campaign": "c", "recipients": [{"email": EMAIL}], field: name}
        assert pointers_of(await resident.api.post("/v1/messages/batch", json=batch)) == [f"#/{field}"]
    row = {"email": EMAIL, "reason": "manual", "topic": name}
    assert pointers_of(await resident.api.post("/v1/suppressions", json=row)) == ["#/topic"]
    assert (name, 0) not in await listed(resident)


@pytest.mark.parametrize("written", ["%FF", "gr%FCn", "a%C3", "%ED%A0%80"])
async def test_name_that_is_no_text_is_nobodys(resident: Customer, written: str) -> None:
    """422, and neither read nor made nor deleted is the topic whose name has U+FFFD in their place."""
    name = unquote(written)
    assert "\ufffd" in name
    theirs = (await resident.api.put(f"{TOPICS}/{quote(name)}")).json()
    for method in ("GET", "PUT", "DELETE"):
        answer = await resident.api.request(method, f"{TOPICS}/{written}")
        assert pointers_of(answer) == ["#/topic"], method
    assert (await resident.api.get(f"{TOPICS}/{quote(name)}")).json() == theirs
    for parameter in ("topic", "campaign"):
        assert pointers_of(await resident.api.get(f"/v1/events?{parameter}={written}")) == [f"#/{parameter}"]
    assert pointers_of(await resident.api.get(f"/v1/events?{written}=x")) == [f"#/{name}"]


async def test_name_in_a_query_may_be_bare_utf8(resident: Customer, standing: Served) -> None:
    """Some programs do not encode it; it is the same name."""
    made = await resident.make(campaign="grün")
    await standing.reader.get(made["open_url"])
    headers = [(b"authorization", f"Bearer {resident.key}".encode())]
    bare = await ask(standing.app, "GET", "/v1/events", query="campaign=grün".encode(), headers=headers)
    broken = await ask(standing.app, "GET", "/v1/events", query=b"campaign=gr\xfcn", headers=headers)
    assert (bare.status, broken.status) == (200, 422)
    assert bare.body == (await resident.api.get("/v1/events", params={"campaign": "grün"})).content
    assert b'"opened"' in bare.body


@pytest.mark.parametrize("name", ["x" * 101, "a\nb", "\u0085"])
async def test_name_that_cannot_be_one_is_refused(resident: Customer, name: str) -> None:
    """422 where it would be made, 404 where it is looked for."""
    path = f"{TOPICS}/{quote(name)}"
    assert pointers_of(await resident.api.put(path)) == ["#/topic"]
    assert (await resident.api.get(path)).status_code == 404


async def test_hostile_name_stays_within_its_place(resident: Customer) -> None:
    """No name becomes a header, a statement or another path (B-12)."""
    name = "'; drop table topics; --?#%&\"<b> ..;😀"
    made = await resident.api.put(f"{TOPICS}/{quote(name)}")
    assert (made.status_code, made.json()["name"]) == (201, name)
    assert (await resident.api.get(path_of(made.headers["location"]))).json() == made.json()


async def test_pages_hold_each_topic_once(served: Served, customer: Customer) -> None:
    """The next page is found by the cursor and by the link (RFC 8288)."""
    names = [f"t{n}" for n in (5, 3, 4, 1, 2)]
    for name in names:
        await customer.api.put(f"{TOPICS}/{name}")
    found: list[str] = []
    path: str | None = f"{TOPICS}?limit=2"
    while path is not None:
        answer = await customer.api.get(path)
        page: dict[str, Any] = answer.json()
        assert set(page) == {"data", "next_cursor"}
        found += [topic["name"] for topic in page["data"]]
        following = re.fullmatch(r'<(.*)>; rel="next"', answer.headers.get("link", ""))
        assert (following is None) == (page["next_cursor"] is None)
        path = path_of(following[1]) if following else None
    assert found == names


async def test_cursor_of_another_is_none(served: Served, customer: Customer) -> None:
    """400, as for anything that is no cursor of ours."""
    other = await served.customer("Rook")
    for name in "ab":
        await other.api.put(f"{TOPICS}/{name}")
    cursor = (await other.api.get(TOPICS, params={"limit": 1})).json()["next_cursor"]
    for given in (cursor, "x", ""):
        answer = await customer.api.get(TOPICS, params={"cursor": given})
        assert (answer.status_code, problem_of(answer)) == (400, "bad-cursor")


@pytest.mark.parametrize(
    ("parameters", "pointer"),
    [({"limit": "0"}, "#/limit"), ({"limit": "1001"}, "#/limit"), ({"name": "x"}, "#/name")],
)
async def test_parameters_are_checked_by_name(resident: Customer, parameters: dict[str, str], pointer: str) -> None:
    """422 (A7.5)."""
    assert pointers_of(await resident.api.get(TOPICS, params=parameters)) == [pointer]


async def test_unknown_field_of_a_topic_is_refused(resident: Customer) -> None:
    """And nothing is made."""
    assert pointers_of(await resident.api.put(f"{TOPICS}/unmade", json={"colour": "red"})) == ["#/colour"]
    assert (await resident.api.get(f"{TOPICS}/unmade")).status_code == 404


async def test_topics_of_others_are_answered_like_unknown_ones(served: Served, customer: Customer) -> None:
    """Byte for byte, header for header, and they stay as they are (B-7)."""
    other = await served.customer("Rook")
    await other.make(topic="theirs")
    for method in ("GET", "DELETE"):
        answers = [await customer.api.request(method, f"{TOPICS}/{name}") for name in ("theirs", "nobodys")]
        assert [answer.status_code for answer in answers] == [404, 404]
        assert problem_of(answers[0]) == "not-found"
        assert answers[0].content == answers[1].content
        assert fields_of(answers[0]) == fields_of(answers[1])
    assert await listed(customer) == []
    assert (await customer.api.put(f"{TOPICS}/theirs")).status_code == 201
    await customer.api.delete(f"{TOPICS}/theirs")
    assert await listed(other) == [("theirs", 1)]


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", TOPICS, "events"),
        ("GET", f"{TOPICS}/a", "events"),
        ("PUT", f"{TOPICS}/a", "account"),
        ("DELETE", f"{TOPICS}/a", "account"),
    ],
)
async def test_reading_and_writing_need_a_scope_each(standing: Served, method: str, path: str, scope: str) -> None:
    """403 names what is missing."""
    other = await standing.customer("Rook", scopes=["messages"])
    answer = await other.api.request(method, path)
    assert (answer.status_code, answer.json()["scope"]) == (403, scope)
    allowed = await standing.customer("Rook", scopes=[scope])
    assert (await allowed.api.request(method, path)).status_code != 403
