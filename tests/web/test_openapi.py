"""What the API says of itself is what it does: the same table answers and documents."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from tests.web.serving import BASE_URL, SAFE, Customer, Served, somebody
from tracker.app import App
from tracker.storage.api_keys import SCOPES
from tracker.web.api import _Methods
from tracker.web.openapi import documented_path
from tracker.web.operations import Operation
from tracker.web.problems import TYPES

pytestmark = pytest.mark.anyio

METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}


def routed(app: App) -> dict[tuple[str, str], Operation]:
    """What the router serves below /v1, by method and path."""
    return {
        (method.lower(), documented_path(route.path)): steps._operation
        for route in app.router.routes
        if isinstance(route.app, _Methods)
        for method, steps in route.app._methods.items()
        if method != "HEAD"
    }


async def document_of(served: Served) -> dict[str, Any]:
    answer = await served.reader.get("/openapi.json")
    assert answer.status_code == 200
    return dict(answer.json())


def documented(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every operation, with its method and its path."""
    for path, item in document["paths"].items():
        assert set(item) <= METHODS
        yield from ((method, path, operation) for method, operation in item.items())


async def test_every_route_is_in_the_document_and_nothing_else(standing: Served) -> None:
    """From the day it works; whatever the router knows below /v1 went through the table."""
    below_v1 = [route for route in standing.app.router.routes if route.path.startswith("/v1")]
    assert all(isinstance(route.app, _Methods) for route in below_v1)
    table = routed(standing.app)
    found = {(method, path) for method, path, _ in documented(await document_of(standing))}
    assert found == set(table)
    assert len(table) >= 18


async def test_document_is_there_for_everybody(standing: Served) -> None:
    """JSON, without a key, on this host, and for no cache."""
    answer = await standing.reader.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers.items() >= SAFE.items()
    document = answer.json()
    assert document["openapi"].startswith("3.1.")
    assert document["servers"] == [{"url": BASE_URL}]
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"


async def test_operations_have_names_scopes_and_words(standing: Served) -> None:
    """A name each, by which clients call it; a scope that keys can have; something to read."""
    operations = [operation for _, _, operation in documented(await document_of(standing))]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    for operation in operations:
        ((scope,),) = [need["key"] for need in operation["security"]]
        assert scope in SCOPES
        assert operation["summary"]
        assert operation["description"]
        assert all(parameter["description"] for parameter in operation.get("parameters", ()))


async def test_schemas_have_the_plain_names_of_their_types(standing: Served) -> None:
    """Two types of one name would be told apart by where they stand in the code, which is nobody's business."""
    schemas = (await document_of(standing))["components"]["schemas"]
    assert all(name.isalpha() for name in schemas), list(schemas)


async def test_problems_are_documented_with_status_and_headers(standing: Served) -> None:
    """Each under its status, with an example that leads to its page."""
    document = await document_of(standing)
    for method, path, operation in documented(document):
        expected = routed(standing.app)[method, path].possible_problems
        responses = {int(status): answer for status, answer in operation["responses"].items() if int(status) >= 400}
        refused = {responses.pop(414)["$ref"], responses.pop(431)["$ref"]}
        assert refused == {"#/components/responses/uri-too-long", "#/components/responses/headers-too-large"}
        shown = {name: status for status, one in responses.items() for name in problem_content(one)["examples"]}
        assert shown == {name: TYPES[name][0] for name in expected}
        assert set(responses[401]["headers"]) == {"WWW-Authenticate", "Request-Id"}
        assert set(responses[429]["headers"]) == {"Retry-After", "RateLimit", "RateLimit-Policy", "Request-Id"}
        assert set(responses[503]["headers"]) == {"Retry-After", "Request-Id"}
    for name, example in document["components"]["examples"].items():
        assert example["value"]["type"] == f"{BASE_URL}/problems/{name}"
    wrong_method = document["components"]["responses"]["method-not-allowed"]
    assert set(wrong_method["headers"]) == {"Allow", "Request-Id"}


def problem_content(answer: dict[str, Any]) -> dict[str, Any]:
    """The one content of an error."""
    ((media_type, content),) = answer["content"].items()
    assert media_type == "application/problem+json"
    return dict(content)


async def test_examples_are_what_their_types_say(standing: Served) -> None:
    """No field too many, none too few."""
    tried = 0
    for operation in routed(standing.app).values():
        if operation.body is not None and operation.body.example is not None:
            for content in operation.body.content.values():
                msgspec.json.decode(msgspec.json.encode(operation.body.example), type=content)
                tried += 1
        for answer in operation.answers:
            if answer.content is not None:
                read = msgspec.convert(answer.example, answer.content)
                assert msgspec.to_builtins(read) == answer.example, operation.name
                tried += 1
    assert tried >= 20


async def test_limits_of_texts_are_those_of_the_code(standing: Served, resident: Customer) -> None:
    """The longest that is documented is taken, and not one character more."""
    schemas = (await document_of(standing))["components"]["schemas"]

    def longest(schema: str, field: str) -> int:
        described = schemas[schema]["properties"][field]
        return int(next(one["maxLength"] for one in [described, *described.get("anyOf", ())] if "maxLength" in one))

    async def status(path: str, body: dict[str, Any]) -> int:
        return (await resident.api.post(path, json=body)).status_code

    for more, expected in ((0, {200, 201}), (1, {422})):
        text = {
            name: "x" * (longest(schema, name) + more)
            for schema, name in (
                ("MessageIn", "campaign"),
                ("MessageIn", "topic"),
                ("RecipientIn", "external_id"),
                ("SuppressionIn", "note"),
            )
        }
        plain = {"campaign": "a", "recipient": {"email": somebody()}}
        named = {"recipient": {"email": somebody(), "external_id": text["external_id"]}}
        blocked = {"email": somebody(), "reason": "manual", "note": text["note"]}
        assert await status("/v1/messages", {**plain, "campaign": text["campaign"]}) in expected
        assert await status("/v1/messages", {**plain, "topic": text["topic"]}) in expected
        assert await status("/v1/messages", {**plain, **named}) in expected
        assert await status("/v1/suppressions", blocked) in expected


async def test_limits_of_metadata_are_those_of_the_code(standing: Served, resident: Customer) -> None:
    """How many entries, how long a key, how long a value."""
    described = (await document_of(standing))["components"]["schemas"]["MessageIn"]["properties"]["metadata"]
    entries, key = described["maxProperties"], described["propertyNames"]["maxLength"]
    value = next(one["maxLength"] for one in described["additionalProperties"]["anyOf"] if "maxLength" in one)
    good: list[dict[str, Any]] = [{str(n): n for n in range(entries)}, {"k" * key: 1}, {"k": "v" * value}]
    bad: list[dict[str, Any]] = [
        {str(n): n for n in range(entries + 1)},
        {"k" * (key + 1): 1},
        {"k": "v" * (value + 1)},
    ]
    for metadata in good:
        await resident.make(metadata=metadata, recipient={"email": somebody()})
    for metadata in bad:
        wanted = {"campaign": "a", "recipient": {"email": somebody()}, "metadata": metadata}
        assert (await resident.api.post("/v1/messages", json=wanted)).status_code == 422


async def test_limits_of_whole_numbers_are_those_of_the_code(standing: Served, resident: Customer) -> None:
    """The least and the most that are documented, and not one beyond them."""
    tried = 0
    for method, path, operation in documented(await document_of(standing)):
        for parameter in operation.get("parameters", ()):
            schema = parameter["schema"]
            if schema["type"] == "integer":
                assert method == "get"
                for number in (schema["minimum"], schema["maximum"], schema["default"]):
                    assert (await resident.api.get(path, params={parameter["name"]: number})).status_code == 200
                for number in (schema["minimum"] - 1, schema["maximum"] + 1):
                    assert (await resident.api.get(path, params={parameter["name"]: number})).status_code == 422
                tried += 1
    assert tried >= 7


async def test_words_that_may_stand_are_those_of_the_code(standing: Served, resident: Customer) -> None:
    """Each is taken, any other is refused."""
    tried = 0
    for method, path, operation in documented(await document_of(standing)):
        kinds = [*operation.get("requestBody", {}).get("content", {}), ""]
        headers = {"Content-Type": kinds[0]}
        for parameter in operation.get("parameters", ()):
            schema = parameter["schema"]
            words = schema.get("enum") or schema.get("items", {}).get("enum") or ()
            for word in words:
                for given, status in ((word, 200), (f"{word}x", 422)):
                    asked = {parameter["name"]: given}
                    answer = await resident.api.request(method, path, params=asked, headers=headers)
                    assert answer.status_code == status, (path, given)
            tried += bool(words)
    assert tried >= 6
