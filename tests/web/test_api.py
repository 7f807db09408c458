"""Every request to the API takes the same steps, whatever its route."""

import re
from collections import defaultdict
from typing import Any

import pytest

from tests.web.serving import Customer, Served, problem_of
from tracker.app import App
from tracker.web.api import _Methods

pytestmark = pytest.mark.anyio

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW")
ANY_ID = "01935f2e-7c11-7cc2-b0f5-5d9f8ac7a9d1"


def table_of(app: App) -> dict[str, set[str]]:
    """The paths of the API, with something in the place of their parameters, and what each answers."""
    table: defaultdict[str, set[str]] = defaultdict(set)
    for route in app.router.routes:
        if isinstance(route.app, _Methods):
            table[re.sub(r"\{\w+(:\w+)?\}", ANY_ID, route.path)] |= set(route.app._methods)
    return table


async def test_every_route_answers_405_with_all_of_its_methods(standing: Served, resident: Customer) -> None:
    """Also where a path of other routes would fit as well, and without a key."""
    table = table_of(standing.app)
    assert len(table) >= 14
    for path, allowed in table.items():
        for method in set(METHODS) - allowed:
            for client in (standing.reader, resident.api):
                answer = await client.request(method, path)
                assert (answer.status_code, answer.headers["allow"]) == (405, ", ".join(sorted(allowed))), path
                if method != "HEAD":
                    assert problem_of(answer) == "method-not-allowed"


async def test_every_route_wants_a_key_first(standing: Served) -> None:
    """401 before anything is said about parameters or the body."""
    for path, methods in table_of(standing.app).items():
        for method in methods - {"HEAD"}:
            answer = await standing.reader.request(method, f"{path}?foo=1", content=b"x" * 300_000)
            assert (answer.status_code, problem_of(answer)) == (401, "unauthorized"), path
            assert answer.headers["www-authenticate"] == 'Bearer realm="tracker"'


async def test_every_route_refuses_parameters_before_it_reads_a_body(standing: Served, resident: Customer) -> None:
    """By their names."""
    for path, methods in table_of(standing.app).items():
        for method in methods - {"HEAD"}:
            answer = await resident.api.request(method, f"{path}?foo=1", content=b"no json")
            problem: Any = answer.json()
            assert problem["errors"] == [{"pointer": "#/foo", "detail": "unknown parameter"}], path


async def test_a_scope_opens_what_it_is_for(served: Served) -> None:
    """A key of no other scope is refused with the name of the one it lacks."""
    tried = 0
    customer = await served.customer(scopes=["webhooks"])
    for path, methods in table_of(served.app).items():
        for method in methods - {"HEAD"}:
            answer = await customer.api.request(method, path)
            assert problem_of(answer) == "missing-scope"
            assert answer.json()["scope"] in answer.json()["detail"]
            tried += 1
    assert tried >= 18
