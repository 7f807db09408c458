"""``docs/api.md``: every example is sent to the whole app and gets the answer it shows."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

import httpx
import pytest

from tests.web.serving import BASE_URL, Served, click_of, client_of, serving
from tracker.domain.audit import ACTIONS
from tracker.domain.verdicts import _VALUES
from tracker.web.event_questions import EventSearch
from tracker.web.problems import TYPES

pytestmark = pytest.mark.anyio

DOCUMENT, ACCOUNT, LISTS = (
    (Path(__file__).parents[1] / "docs" / name).read_text("utf-8") for name in ("api.md", "account.md", "lists.md")
)
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"

_PART = re.compile(
    r"<!-- (?P<deed>.+?) -->|^```sh\n(?P<command>.*?)^```\n(?P<words>.*?)^```json\n(?P<answer>.*?)^```",
    re.MULTILINE | re.DOTALL,
)
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


class Example(NamedTuple):
    """A command of the document, and the answer it promises."""

    command: str
    status: int
    answer: Any


def parts(document: str) -> Iterator[Example | str]:
    """The examples, and between them what a recipient does, in the order of the document."""
    for part in _PART.finditer(document):
        if part["deed"]:
            yield part["deed"]
        else:
            status = re.search(r"`(\d{3})`", part["words"])
            assert status is not None, part["command"]
            yield Example(part["command"], int(status[1]), json.loads(part["answer"]))


def request_of(command: str, variables: Mapping[str, str]) -> httpx.Request:
    """What a shell and curl would send."""
    words = iter(shlex.split(Template(command).substitute(variables)))
    assert next(words) == "curl"
    url, headers, body, method = "", dict[str, str](), None, None
    for word in words:
        match word:
            case "-H":
                name, _, value = next(words).partition(": ")
                headers[name] = value
            case "-X":
                method = next(words)
            case "--json":
                body, headers["Content-Type"] = next(words), "application/json"
            case _:
                assert not word.startswith("-"), word
                url = word
    return httpx.Request(method or ("GET" if body is None else "POST"), url, headers=headers, content=body)


def expect(found: Any, shown: Any, where: str = "$") -> None:
    """The same shape and the same values; ids and times are any, and ``...`` stands for anything."""
    if shown == "...":
        return
    if isinstance(shown, dict):
        assert isinstance(found, dict), where
        assert set(found) == set(shown), where
        for name in shown:
            expect(found[name], shown[name], f"{where}.{name}")
    elif isinstance(shown, list):
        assert isinstance(found, list), where
        assert len(found) == len(shown), where
        for index, (one, other) in enumerate(zip(found, shown, strict=True)):
            expect(one, other, f"{where}[{index}]")
    elif isinstance(shown, str):
        pattern = ".+".join(re.escape(part) for part in shown.split("..."))
        for kind in (_ID, _TIME):
            if kind.fullmatch(shown):
                pattern = kind.pattern
        assert re.fullmatch(pattern, found, re.DOTALL), (where, found)
    else:
        assert found == shown, where


async def do(deed: str, served: Served, made: Mapping[str, Any]) -> None:
    """What the recipient of a message does."""
    async with client_of(served.app, headers={"User-Agent": IPHONE}) as reader:
        match deed:
            case "the recipient opens the mail and follows the first link":
                assert (await reader.get(made["open_url"])).status_code == 200
                assert (await reader.get(click_of(dict(made)))).status_code == 302
            case "the recipient unsubscribes":
                assert (await reader.post(made["unsubscribe_url"])).status_code == 200
            case _:
                raise AssertionError(deed)


@pytest.mark.parametrize(("document", "least"), [(DOCUMENT, 9), (ACCOUNT, 5)], ids=["api", "account"])
async def test_every_example_gets_the_answer_it_shows(tmp_path: Path, document: str, least: int) -> None:
    """From the first command to the last, with nothing in between but what the document says."""
    examples = 0
    async with serving(tmp_path) as served:
        customer = await served.customer()
        variables, made = {"TRACKER": BASE_URL, "KEY": customer.key}, dict[str, Any]()
        for part in parts(document):
            if isinstance(part, str):
                await do(part, served, made)
                continue
            answer = await served.reader.send(request_of(part.command, variables))
            assert answer.status_code == part.status, answer.text
            expect(answer.json(), part.answer)
            examples += 1
            if part.status == 201:
                made = answer.json()
                variables["MESSAGE"] = made["id"]
            if cursor := answer.json().get("next_cursor"):
                variables["CURSOR"] = cursor
    assert examples == document.count("```sh\n") == document.count("```json\n") >= least


def rows(head: str, document: str = DOCUMENT) -> list[tuple[str, ...]]:
    """The rows of the table under this head."""
    _, _, rest = document.partition(f"{head}\n")
    lines = rest.split("\n\n")[0].splitlines()[1:]
    assert lines, head
    return [tuple(cell.strip(" `") for cell in line.strip("|").split("|")) for line in lines]


def test_errors_are_those_of_the_code() -> None:
    """Name, status and title of each."""
    assert rows("| name | status | title |") == [(name, str(status), title) for name, (status, title) in TYPES.items()]


def test_filters_are_those_of_the_code() -> None:
    """All of them; the rest of a question is explained below."""
    names = [name for name, _ in rows("| filter | finds |")]
    others = ["email", "order", "cursor", "limit"]
    assert sorted(names + others) == sorted(EventSearch.__struct_fields__)
    assert all(f"`{name}`" in DOCUMENT or f'"{name}"' in DOCUMENT for name in others)


def test_verdicts_are_those_of_the_code() -> None:
    """Each class with its value, and the one for people."""
    table = {name: value for name, value, _ in rows("| class | value | what was seen |")}
    assert table == {"null": "human", **_VALUES}


def test_actions_are_those_of_the_code() -> None:
    """Each with its words."""
    assert rows("| action | what was done |", ACCOUNT) == list(ACTIONS.items())


async def test_every_route_is_in_a_document(tmp_path: Path) -> None:
    """What the API answers is written down, and what is written down is answered."""
    async with serving(tmp_path) as served:
        paths = {re.sub(r"\{\w+(?::\w+)?\}", "*", route.path) for route in served.app.router.routes}
    written = re.findall(r"(?:\$TRACKER|(?:GET|POST|PUT|DELETE) )(/v1/[-\w/$<>{}]+)", DOCUMENT + ACCOUNT + LISTS)
    known = {path for path in paths if path.startswith("/v1/")}
    assert {re.sub(r"\{\w+\}|\$\w+", "*", path) for path in written} == known
