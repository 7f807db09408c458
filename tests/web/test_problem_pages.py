"""The type of every problem leads to a page that explains it."""

import pytest
from selectolax.lexbor import LexborHTMLParser

from tests.web.serving import BASE_URL, Served
from tracker.web.problem_pages import EXPLANATIONS
from tracker.web.problems import TYPES

pytestmark = pytest.mark.anyio


def test_every_problem_is_explained() -> None:
    """And nothing that is none."""
    assert set(EXPLANATIONS) == set(TYPES)


@pytest.mark.parametrize("name", TYPES)
async def test_problem_has_a_page(standing: Served, name: str) -> None:
    """Its title, its status, what it means and what to do, for a person and without a script."""
    answer = await standing.reader.get(f"{BASE_URL}/problems/{name}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    status, title = TYPES[name]
    tree = LexborHTMLParser(answer.text)
    assert [node.text() for node in tree.css("title, h1")] == [title, title]
    text = " ".join(tree.css("main")[0].text().split())
    assert f"status {status} " in text
    assert all(sentence in text for sentence in EXPLANATIONS[name])
    assert not tree.css("script")


async def test_type_of_a_problem_leads_to_its_page(standing: Served) -> None:
    """As a client follows it."""
    problem = (await standing.reader.get(f"{BASE_URL}/v1/events")).json()
    assert (await standing.reader.get(problem["type"])).status_code == 200


async def test_what_is_no_problem_has_no_page(standing: Served) -> None:
    """404, and nothing of the name is repeated."""
    answer = await standing.reader.get(f"{BASE_URL}/problems/nonsense")
    assert answer.status_code == 404
    assert "nonsense" not in answer.text
