"""The API's own description of itself, for tests that go through all of it."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from httpx import Response

from tests.web.serving import Customer, Served

Leaf = tuple[Any, ...]

_NOBODYS = "01935f2e-7c11-7cc2-b0f5-5d9f8ac7a9d1"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request to an operation, with one of its values to be replaced."""

    method: str
    path: str
    place: str
    query: Mapping[str, str]
    body: Any
    leaf: Sequence[Any]
    content_type: str
    header: str = ""

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.place}"

    @property
    def usual(self) -> str:
        """What stands in its place in the example."""
        value = self.body
        for name in self.leaf:
            value = value[name]
        return value if self.leaf else ""

    async def send(self, customer: Customer, value: str, quoted: str) -> Response:
        """Ask with this value in its place; ``quoted`` is how it stands in a path."""
        path = self.path.replace("{*}", quoted)
        query = {name: given or value for name, given in self.query.items()}
        body = deepcopy(self.body)
        if self.leaf:
            _set(body, self.leaf, value)
        content = None if body is None else json.dumps(body).encode()
        headers = [(b"Content-Type", self.content_type.encode())] if content is not None else []
        if self.header:
            headers.append((self.header.encode(), value.encode()))
        return await customer.api.request(self.method, path, params=query, content=content, headers=headers)


async def questions(served: Served) -> list[Asked]:
    """Every operation, once for each value it takes: parts of the path, parameters, texts of the body."""
    document = (await served.reader.get("/openapi.json")).json()
    return [
        asked
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        for asked in _asked(method.upper(), path, operation)
    ]


async def places(served: Served) -> list[Asked]:
    """Every operation, once for everything a client may write: also what the examples leave out, and header fields."""
    document = (await served.reader.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    return [
        asked
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        for asked in _places(method.upper(), path, operation, schemas)
    ]


def _places(method: str, path: str, operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[Asked]:
    content: Mapping[str, Any] = operation.get("requestBody", {}).get("content", {})
    media = next((one for one in content if one.endswith("json")), "")
    body = content[media].get("example", {}) if content else None
    some = re.sub(r"\{\w+\}", _NOBODYS, path)
    for parameter in operation.get("parameters", []):
        name = parameter["name"]
        match parameter["in"]:
            case "path":
                yield Asked(method, path.replace(f"{{{name}}}", "{*}"), "path", {}, body, (), media)
            case "query":
                yield Asked(method, some, name, {name: ""}, body, (), media)
            case "header":
                yield Asked(method, some, name, {}, body, (), media, header=name)
    if content:
        for leaf in _fields(content[media]["schema"], schemas):
            yield Asked(method, some, f"#/{'/'.join(map(str, leaf))}", {}, body, leaf, media)


def _fields(schema: Mapping[str, Any], schemas: Mapping[str, Any], above: Leaf = ()) -> list[Leaf]:
    """Where a value may stand in what has this schema; what takes any name takes one."""
    if "$ref" in schema:
        return _fields(schemas[schema["$ref"].rpartition("/")[2]], schemas, above)
    found: dict[Leaf, None] = {}
    for one in (schema, *schema.get("anyOf", ())):
        inner = dict(one.get("properties", {}))
        if isinstance(one.get("additionalProperties"), dict):
            inner["segment"] = one["additionalProperties"]
        if one is not schema and "$ref" in one:
            found |= dict.fromkeys(_fields(one, schemas, above))
        for name, below in inner.items():
            found |= dict.fromkeys(_fields(below, schemas, (*above, name)))
        if one.get("type") == "array":
            found |= dict.fromkeys(_fields(one.get("items", {}), schemas, (*above, 0)))
    return list(found) or ([above] if above else [])


def _asked(method: str, path: str, operation: Mapping[str, Any]) -> Iterator[Asked]:
    content: Mapping[str, Any] = operation.get("requestBody", {}).get("content", {})
    # A list goes as an object a line, of which one is as good as many.
    content_type = next((one for one in content if one.endswith("json")), "")
    body = content[content_type].get("example") if content else None
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "path":
            yield Asked(method, path.replace(f"{{{parameter['name']}}}", "{*}"), "path", {}, body, (), content_type)
        elif parameter["in"] == "query" and "{" not in path:
            yield Asked(method, path, parameter["name"], {parameter["name"]: ""}, body, (), content_type)
    if "{" not in path:
        for leaf in _leaves(body):
            yield Asked(method, path, f"#/{'/'.join(map(str, leaf))}", {}, body, leaf, content_type)


def _leaves(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where the texts are."""
    if isinstance(value, str):
        yield above
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in inner:
        yield from _leaves(one, (*above, name))


def _set(value: Any, leaf: Sequence[Any], text: str) -> None:
    for name, below in pairwise(leaf):
        empty: Any = [] if below == 0 else {}
        if isinstance(value, list) and not value:
            value.append(empty)
        elif isinstance(value, dict):
            value.setdefault(name, empty)
        value = value[name]
    if isinstance(value, list) and not value:
        value.append(text)
    value[leaf[-1]] = text
