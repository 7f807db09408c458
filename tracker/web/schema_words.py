"""JSON schemas in words: what each field is called, holds and allows, for the page that documents the API."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

Schema = Mapping[str, Any]

_TYPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "object": "object",
    "null": "null",
}
_FORMATS = {"uuid": "id", "date-time": "time", "idn-email": "e-mail address"}
_PLURALS = {"e-mail address": "e-mail addresses", "true or false": "true or false"}
_BOUNDS = (
    ("minLength", "maxLength", "characters"),
    ("minimum", "maximum", ""),
    ("minItems", "maxItems", "items"),
    ("minProperties", "maxProperties", "entries"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldShown:
    """A field with its whole name, such as ``recipient.email`` or ``links[].url``.

    ``only`` names the kind of item that has it, where there are several.
    """

    name: str
    type: str
    required: bool
    limits: str
    description: str
    only: str = ""


class SchemaWords:
    """Reads schemas that may refer to these."""

    def __init__(self, schemas: Mapping[str, Schema]) -> None:
        self._schemas = schemas

    def fields(self, schema: Schema, within: str = "") -> Iterator[FieldShown]:
        """The fields of an object, each followed by those below it."""
        whole = self._resolved(schema)
        for name, field in whole.get("properties", {}).items():
            yield self.field(f"{within}{name}", field, required=name in whole.get("required", ()))
            yield from self._below(f"{within}{name}", field)

    def field(self, name: str, schema: Schema, *, required: bool) -> FieldShown:
        """One field, or one parameter."""
        choices = self._choices(schema)
        described = next((one["description"] for one in [schema, *choices] if "description" in one), "")
        limits = dict.fromkeys(filter(None, (_limits(one) for one in choices)))
        default = schema.get("default")
        if default is not None and not isinstance(default, dict | list):
            limits[f"{_written(default)} unless given"] = None
        words = " or ".join(dict.fromkeys(self._type(one) for one in choices))
        return FieldShown(name=name, type=words, required=required, limits="; ".join(limits), description=described)

    def _below(self, name: str, schema: Schema) -> Iterator[FieldShown]:
        for choice in self._choices(schema):
            if choice.get("type") == "array":
                yield from self._items(f"{name}[].", choice.get("items", {}))
            elif "properties" in choice:
                yield from self.fields(choice, f"{name}.")

    def _items(self, within: str, items: Schema) -> Iterator[FieldShown]:
        kinds = [choice for choice in self._choices(items) if "properties" in choice]
        for kind in kinds:
            only = _kind(kind) if len(kinds) > 1 else ""
            yield from (replace(field, only=only) for field in self.fields(kind, within))

    def _choices(self, schema: Schema) -> list[Schema]:
        choices = schema.get("anyOf")
        return [self._resolved(choice) for choice in choices] if choices else [self._resolved(schema)]

    def _resolved(self, schema: Schema) -> Schema:
        reference = schema.get("$ref")
        return self._schemas[reference.rpartition("/")[2]] if reference else schema

    def _type(self, schema: Schema) -> str:
        match schema:
            case {"type": "array"}:
                return self._list_type(schema.get("items", {}))
            case {"format": form} if form in _FORMATS:
                return _FORMATS[form]
            case {"type": kind}:
                return _TYPES[kind]
        return "text" if "enum" in schema else "anything"

    def _list_type(self, items: Schema) -> str:
        kinds = dict.fromkeys(self._type(choice) for choice in self._choices(items))
        # A list that takes anything, so that no item fails the call, is described by what its items should be.
        named = [kind for kind in kinds if kind != "anything"]
        return f"list of {_PLURALS.get(named[0], f'{named[0]}s')}" if named else "list"


def _kind(schema: Schema) -> str:
    """The word that tells this struct from the others in its place."""
    tags = [field["enum"][0] for field in schema["properties"].values() if len(field.get("enum", ())) == 1]
    return tags[0] if tags else str(schema["title"])


def _limits(schema: Schema) -> str:
    if "enum" in schema:
        return ", ".join(_written(word) for word in schema["enum"])
    if "items" in schema and "enum" in schema["items"]:
        return _limits(schema["items"])
    return ", ".join(filter(None, (_range(schema, *bound) for bound in _BOUNDS)))


def _range(schema: Schema, low: str, high: str, unit: str) -> str:
    least, most = schema.get(low), schema.get(high)
    if most is None:
        return ""
    words = f"at most {most:,}" if least is None else f"{least:,} to {most:,}"
    return f"{words} {unit}".rstrip()


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
