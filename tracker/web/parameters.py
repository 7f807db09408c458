"""Reads the parameters of a query; those that are not known are refused by name."""

from collections.abc import Sequence

from starlette.datastructures import QueryParams

from .problems import invalid


def single_parameters(query: QueryParams, known: Sequence[str] = (), repeatable: str = "") -> dict[str, str]:
    """The parameters by name. Raises ``Problem`` 422 for an unknown one, or one given twice that may not be."""
    for name in query:
        if name not in known:
            raise invalid(f"#/{name}", "unknown parameter")
        if name != repeatable and len(query.getlist(name)) > 1:
            raise invalid(f"#/{name}", "may be given once")
    return dict(query)


def whole_number(name: str, text: str, *, low: int, high: int) -> int:
    """A parameter that is a whole number within bounds. Raises ``Problem`` 422."""
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= 19 else None
    if number is None or not low <= number <= high:
        raise invalid(f"#/{name}", f"must be a whole number from {low} to {high}")
    return number
