"""The API's own description of itself, for tests that go through all of it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from httpx import Response

from tests.web.serving import Customer, Served


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
        headers = {"Content-Type": self.content_type} if content is not None else {}
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


def _asked(method: str, path: str, operation: Mapping[str, Any]) -> Iterator[Asked]:
    content: Mapping[str, Any] = operation.get("requestBody", {}).get("content", {})
    content_type = next(iter(content), "")
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
    for name in leaf[:-1]:
        value = value[name]
    value[leaf[-1]] = text
