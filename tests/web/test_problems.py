"""What goes wrong is said as RFC 9457 says it, in the same words each time."""

import re
from http import HTTPStatus

import msgspec
import pytest

from tests.web.serving import BASE_URL
from tracker.web.problems import TYPES, Flaw, Problem, flawed, invalid, problem_response


@pytest.mark.parametrize("name", TYPES)
def test_problem_is_well_formed(name: str) -> None:
    """`status` is the status, `title` is constant, `type` leads to a page of ours (A7.2, A7.3, A7.4)."""
    response = problem_response(Problem(name, "What to do."), BASE_URL)
    status, title = TYPES[name]
    assert response.status_code == status == HTTPStatus(status)
    assert response.headers["content-type"] == "application/problem+json"
    assert msgspec.json.decode(response.body) == {
        "type": f"{BASE_URL}/problems/{name}",
        "title": title,
        "status": status,
        "detail": "What to do.",
    }
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", name)


def test_flaws_are_listed_with_their_pointers() -> None:
    """The first also stands in the detail, for people."""
    problem = flawed([Flaw("#/recipient/email", "has no @"), Flaw("#/topic", "is empty")])
    body = msgspec.json.decode(problem_response(problem, BASE_URL).body)
    assert (body["status"], body["detail"]) == (422, "recipient.email: has no @")
    assert body["errors"] == [
        {"pointer": "#/recipient/email", "detail": "has no @"},
        {"pointer": "#/topic", "detail": "is empty"},
    ]


def test_flaw_of_the_whole_body_is_said_to_be_one() -> None:
    """A pointer to everything has no name to show."""
    assert invalid("#", "must be an object").detail == "the body: must be an object"


def test_members_and_headers_of_a_problem_are_its_own() -> None:
    """Names of members are letters, digits and underscores, of three and more (A7.6)."""
    problem = Problem("too-large", "Too much.", headers={"Retry-After": "5"}, limit=5)
    response = problem_response(problem, BASE_URL)
    assert msgspec.json.decode(response.body)["limit"] == 5
    assert response.headers["retry-after"] == "5"
