"""What tells customers of the API, made of its table: ``/openapi.json`` for programs, ``/docs`` for people."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from .bodies import readable_size
from .openapi import documented_path, openapi
from .operations import HEADERS, Answer, Operation
from .pages import page_headers, template_environment
from .problems import TYPES
from .schema_words import FieldShown, SchemaWords
from .static import static_folder, style_sheet


class BodyShown(NamedTuple):
    """The body of a request."""

    media_type: str
    limit: str
    required: bool
    fields: list[FieldShown]
    example: str


class AnswerShown(NamedTuple):
    """One answer that is no problem."""

    status: int
    phrase: str
    description: str
    headers: list[tuple[str, str]]
    fields: list[FieldShown]
    example: str


class ProblemShown(NamedTuple):
    """One problem, by the name its page has."""

    name: str
    status: int
    title: str


class OperationShown(NamedTuple):
    """All that the page says of one operation."""

    operation: Operation
    path: str
    parameters: list[FieldShown]
    bodies: list[BodyShown]
    answers: list[AnswerShown]
    problems: list[ProblemShown]


class Documents:
    """``/openapi.json`` and ``/docs``, both made once."""

    def __init__(self, operations: Sequence[Operation], base_url: str) -> None:
        document = openapi(operations, base_url)
        self._openapi = msgspec.json.encode(document)
        folder = static_folder() / "docs"
        style = style_sheet("docs/docs.css")
        template = template_environment(folder, style).get_template("docs.html")
        self._page = template.render(base_url=base_url, subjects=_subjects(operations, document))
        self._page_headers = page_headers(style)

    def routes(self) -> list[Route]:
        """Its routes."""
        return [Route("/openapi.json", self.openapi), Route("/docs", self.page)]

    async def openapi(self, _: Request) -> Response:
        """The OpenAPI document."""
        return Response(self._openapi, media_type="application/json")

    async def page(self, _: Request) -> Response:
        """The page."""
        return HTMLResponse(self._page, headers=self._page_headers)


def _subjects(operations: Iterable[Operation], document: Mapping[str, Any]) -> dict[str, list[OperationShown]]:
    words = SchemaWords(document["components"]["schemas"])
    subjects: dict[str, list[OperationShown]] = {}
    for operation in operations:
        written = document["paths"][documented_path(operation.path)][operation.method.lower()]
        subjects.setdefault(operation.subject, []).append(_shown(operation, written, words))
    return subjects


def _shown(operation: Operation, written: Mapping[str, Any], words: SchemaWords) -> OperationShown:
    return OperationShown(
        operation=operation,
        path=documented_path(operation.path),
        parameters=[_parameter(parameter, words) for parameter in written.get("parameters", ())],
        bodies=_bodies(operation, written, words),
        answers=[_answer(operation, answer, written, words) for answer in operation.answers],
        problems=sorted((ProblemShown(name, *TYPES[name]) for name in operation.possible_problems), key=_by_status),
    )


def _by_status(problem: ProblemShown) -> int:
    return problem.status


def _parameter(parameter: Mapping[str, Any], words: SchemaWords) -> FieldShown:
    schema = {**parameter["schema"], "description": parameter["description"]}
    shown = words.field(parameter["name"], schema, required=parameter.get("required", False))
    if schema.get("type") != "array":
        return shown
    item = words.field(parameter["name"], schema["items"], required=False)
    return replace(shown, type=f"{item.type}, may be repeated")


def _bodies(operation: Operation, written: Mapping[str, Any], words: SchemaWords) -> list[BodyShown]:
    body = operation.body
    if body is None:
        return []
    return [
        BodyShown(
            media_type=media_type,
            limit=readable_size(body.limit),
            required=body.required,
            fields=list(words.fields(content["schema"])),
            example=_example(content),
        )
        for media_type, content in written["requestBody"]["content"].items()
    ]


def _answer(operation: Operation, answer: Answer, written: Mapping[str, Any], words: SchemaWords) -> AnswerShown:
    response = written["responses"][str(answer.status)]
    content: Mapping[str, Any] = response.get("content", {}).get(answer.media_type, {})
    return AnswerShown(
        status=answer.status,
        phrase=HTTPStatus(answer.status).phrase,
        description=answer.description,
        headers=[(name, HEADERS[name]) for name in operation.headers_of(answer)],
        fields=list(words.fields(content.get("schema", {}))),
        example=_example(content),
    )


def _example(content: Mapping[str, Any]) -> str:
    example = content.get("example")
    if example is None or isinstance(example, str):
        return example or ""
    return msgspec.json.format(msgspec.json.encode(example), indent=2).decode()
