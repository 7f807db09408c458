"""The table of the API as an OpenAPI 3.1 document."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from .. import __version__
from .operations import HEADERS, Answer, HeaderParameter, Operation, PathParameter
from .parameters import query_schemas
from .problems import TYPES
from .quotas import RATE_LIMIT, RATE_LIMIT_POLICY

Schema = Mapping[str, Any]

_REF = "#/components/schemas/{name}"
_PROBLEM_JSON = "application/problem+json"
_PROBLEM_HEADERS = {
    "unauthorized": "WWW-Authenticate",
    "method-not-allowed": "Allow",
    "idempotency-key-in-use": "Retry-After",
    "quota-exceeded": "Retry-After",
    "too-many-at-once": "Retry-After",
    "too-many-failures": "Retry-After",
    "account-limited": "Retry-After",
    "unavailable": "Retry-After",
}

_QUOTA_HEADERS = (RATE_LIMIT, RATE_LIMIT_POLICY)
_WITHOUT_QUOTA = {"unauthorized", "method-not-allowed", "failed", "unavailable"}
"""Problems of which it is not known, or does not matter, whose quota they would count to."""
_REFUSALS = {
    414: ("uri-too-long", "The URL is too long for this server."),
    431: ("headers-too-large", "The header fields are too large together for this server."),
}
"""What is said in plain text, by what reads HTTP, before the API is asked."""

_ABOUT = (
    "Tracks opens, clicks and opt-outs of e-mail. Every request carries an API key as “Authorization: Bearer trk_…”; "
    "what a key may do, its scopes say. Errors are problems in the sense of RFC 9457; the type of each leads to a page "
    "that explains it. A path answers 405, with Allow, to methods it has not. Times are RFC 3339 in UTC with three "
    "digits. Lists are paged: follow next_cursor, or Link with rel=next. Unknown fields and parameters are refused by "
    "name. A page of words is at /docs."
)


class FlawDetails(msgspec.Struct, frozen=True):
    """What is wrong, and where in the request: a JSON Pointer as a fragment."""

    pointer: str
    detail: str


class ProblemDetails(msgspec.Struct, frozen=True, omit_defaults=True):
    """What went wrong (RFC 9457). ``type`` is the page that explains it; some problems have further members."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FlawDetails] = []


def openapi(operations: Sequence[Operation], base_url: str) -> dict[str, Any]:
    """The document, of JSON values alone."""
    types = [ProblemDetails, *_types(operations)]
    refs, schemas = msgspec.json.schema_components(types, ref_template=_REF)
    written = _Writer(dict(zip(types, refs, strict=True)), base_url)
    return {
        "openapi": "3.1.1",
        "info": {"title": "Tracker", "version": __version__, "summary": "The customer's API", "description": _ABOUT},
        "servers": [{"url": base_url}],
        "tags": [{"name": subject} for subject in dict.fromkeys(one.subject for one in operations)],
        "paths": written.paths(operations),
        "components": {
            "schemas": {name: _described(schema) for name, schema in schemas.items()},
            "responses": {
                "method-not-allowed": written.problem(["method-not-allowed"]),
                **{name: _refusal(text) for name, text in _REFUSALS.values()},
            },
            "headers": {name: _header(text) for name, text in HEADERS.items()},
            "examples": {name: written.problem_example(name) for name in TYPES},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "bearerFormat": "trk_<id>_<secret>"}},
        },
    }


def documented_path(path: str) -> str:
    """A path of a route as OpenAPI writes it: without Starlette's converters."""
    return re.sub(r"\{(\w+):\w+\}", r"{\1}", path)


def _types(operations: Iterable[Operation]) -> list[Any]:
    """Every type a body or an answer is made of, once."""
    types: dict[Any, None] = {}
    for operation in operations:
        if operation.body is not None:
            types |= dict.fromkeys([*operation.body.content.values(), *operation.body.parts])
        for answer in operation.answers:
            types |= dict.fromkeys([*([answer.content] if answer.content is not None else []), *answer.parts])
    return list(types)


def _refusal(text: str) -> Schema:
    return {"description": text, "content": {"text/plain": {"schema": {"type": "string"}}}}


def _described(schema: Schema) -> Schema:
    """Docstrings quote code as reStructuredText does, descriptions as Markdown."""
    description = schema.get("description", "").replace("``", "`")
    return {**schema, "description": description} if description else schema


def _header(text: str) -> Schema:
    return {"description": text, "schema": {"type": "string"}}


class _Writer:
    """Writes the operations; ``refs`` are the schemas of the types."""

    def __init__(self, refs: Mapping[Any, Schema], base_url: str) -> None:
        self._refs = refs
        self._base_url = base_url

    def paths(self, operations: Iterable[Operation]) -> dict[str, dict[str, Any]]:
        paths: dict[str, dict[str, Any]] = {}
        for operation in operations:
            item = paths.setdefault(documented_path(operation.path), {})
            item[operation.method.lower()] = self._operation(operation)
        return paths

    def problem(self, names: Sequence[str]) -> Schema:
        examples = {name: {"$ref": f"#/components/examples/{name}"} for name in names}
        quota = () if _WITHOUT_QUOTA.issuperset(names) else _QUOTA_HEADERS
        return {
            "description": ". ".join(TYPES[name][1] for name in names) + ".",
            **_headers([*(_PROBLEM_HEADERS[name] for name in names if name in _PROBLEM_HEADERS), *quota]),
            "content": {_PROBLEM_JSON: {"schema": self._refs[ProblemDetails], "examples": examples}},
        }

    def problem_example(self, name: str) -> Schema:
        status, title = TYPES[name]
        shown = {"type": f"{self._base_url}/problems/{name}", "title": title, "status": status, "detail": "..."}
        return {"summary": title, "value": shown}

    def _operation(self, operation: Operation) -> dict[str, Any]:
        written: dict[str, Any] = {
            "operationId": operation.name,
            "tags": [operation.subject],
            "summary": operation.summary,
            "description": operation.description or f"{operation.summary}.",
            "security": [{"key": [operation.scope]}],
            "responses": self._responses(operation),
        }
        parameters = [
            *_path_parameters(operation.path_parameters),
            *_query_parameters(operation.query),
            *_header_parameters(operation.headers),
        ]
        if parameters:
            written["parameters"] = parameters
        if operation.body is not None:
            written["requestBody"] = {
                "required": operation.body.required,
                "description": f"At most {operation.body.limit:,} bytes.",
                "content": {
                    media: _content(self._refs[content], operation.body.example)
                    for media, content in operation.body.content.items()
                },
            }
        return written

    def _responses(self, operation: Operation) -> dict[str, Any]:
        responses = {str(answer.status): self._answer(operation, answer) for answer in operation.answers}
        statuses = sorted({TYPES[name][0] for name in operation.possible_problems})
        for status in statuses:
            names = [name for name in operation.possible_problems if TYPES[name][0] == status]
            responses[str(status)] = self.problem(names)
        refusals = {str(status): {"$ref": f"#/components/responses/{name}"} for status, (name, _) in _REFUSALS.items()}
        return {**responses, **refusals}

    def _answer(self, operation: Operation, answer: Answer) -> Schema:
        headers = _headers([*operation.headers_of(answer), *_QUOTA_HEADERS])
        written: dict[str, Any] = {"description": answer.description, **headers}
        if answer.content is not None:
            schema = self._refs[answer.content]
            written["content"] = {
                answer.media_type: _content(schema, answer.example),
                **{media_type: _content(schema, None) for media_type in answer.other_media_types},
            }
        return written


def _headers(names: Iterable[str]) -> Schema:
    return {"headers": {name: {"$ref": f"#/components/headers/{name}"} for name in (*names, "Request-Id")}}


def _content(schema: Schema, example: Any) -> Schema:
    return {"schema": schema} if example is None else {"schema": schema, "example": example}


def _path_parameters(parameters: Iterable[PathParameter]) -> list[Schema]:
    return [
        {"name": one.name, "in": "path", "required": True, "description": one.description, "schema": one.schema}
        for one in parameters
    ]


def _header_parameters(parameters: Iterable[HeaderParameter]) -> list[Schema]:
    return [
        {"name": one.name, "in": "header", "description": one.description, "schema": one.schema} for one in parameters
    ]


def _query_parameters(query: type[Any] | None) -> list[Schema]:
    schemas = query_schemas(query) if query is not None else {}
    return [
        {
            "name": name,
            "in": "query",
            "description": schema.get("description", ""),
            "schema": {key: value for key, value in schema.items() if key != "description"},
        }
        for name, schema in schemas.items()
    ]
