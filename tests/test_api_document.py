"""Every example of ``docs/api.md``, ``account.md`` and ``lists.md`` is sent to the whole app and gets its answer."""

import csv
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

import httpx
import pytest

from tests.web.serving import BASE_URL, Customer, Served, click_of, client_of, serving
from tests.web.test_suppression_lifts import consent, past
from tests.web.test_suppression_rows import rows_of
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
    r"<!-- (?P<deed>.+?) -->|^```sh\n(?P<command>.*?)^```\n(?P<words>.*?)(?=^```sh|^#|\Z)", re.MULTILINE | re.DOTALL
)
_ANSWER = re.compile(r"^```(?P<kind>json|csv)\n(?P<answer>.*?)^```", re.MULTILINE | re.DOTALL)
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


class Example(NamedTuple):
    """A command of the document, and the answer it promises: JSON, the lines of CSV, or nothing."""

    command: str
    status: int
    answer: Any


def parts(document: str) -> Iterator[Example | str]:
    """The examples, and between them what happens elsewhere, in the order of the document."""
    for part in _PART.finditer(document):
        if part["deed"]:
            yield part["deed"]
        else:
            yield example_of(part["command"], part["words"])
            yield from re.findall(r"<!-- (.+?) -->", part["words"])


def example_of(command: str, words: str) -> Example:
    """The command with what is said below it."""
    status = re.search(r"`(\d{3})`", words)
    assert status is not None, command
    shown = _ANSWER.search(words) if status[1] != "204" else None
    if shown is None:
        return Example(command, int(status[1]), None)
    answer = json.loads(shown["answer"]) if shown["kind"] == "json" else shown["answer"].splitlines()
    return Example(command, int(status[1]), answer)


def request_of(command: str, variables: Mapping[str, str]) -> httpx.Request:
    """What a shell and curl would send."""
    one_line = command.replace("\\\n", "")
    words = iter(shlex.split(Template(one_line).substitute(variables)))
    assert next(words) == "curl"
    method, url, headers, body = "", "", dict[str, str](), None
    for word in words:
        match word:
            case "-H":
                name, _, value = next(words).partition(": ")
                headers[name] = value
            case "--json":
                body, headers["Content-Type"] = next(words), "application/json"
            case "--data-binary":
                body = next(words)
            case "-X":
                method = next(words)
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


class Walk:
    """Goes through a document from the first command to the last, with nothing in between but what it says."""

    def __init__(self, served: Served, customer: Customer) -> None:
        self._served = served
        self._customer = customer
        self._variables = {"TRACKER": BASE_URL, "KEY": customer.key}
        self._made: dict[str, Any] = {}
        self._last: Any = None

    async def try_out(self, example: Example) -> None:
        """Send what a shell would send."""
        answer = await self._served.reader.send(request_of(example.command, self._variables))
        assert answer.status_code == example.status, answer.text
        if example.answer is None:
            assert answer.content == b""
            return
        if answer.headers["content-type"].startswith("text/csv"):
            expect(cells_of(answer.text.splitlines()), cells_of(example.answer))
            return
        self._last = answer.json()
        expect(self._last, example.answer)
        messages = [one for one in (self._last, *listed(self._last)) if "unsubscribe_url" in one]
        if messages and "id" in messages[0]:
            self._made = {**self._made, **messages[0]}
            self._variables["MESSAGE"] = messages[0]["id"]
        if cursor := self._last.get("next_cursor"):
            self._variables["CURSOR"] = cursor

    async def do(self, deed: str) -> None:
        """What somebody does, or what one keeps of an answer."""
        if kept := re.fullmatch(r"(\w+) is (\S+) of the answer", deed):
            value = self._last
            for name in kept[2].split("."):
                value = value[int(name) if name.isdecimal() else name]
            self._variables[kept[1]] = value
            return
        async with client_of(self._served.app, headers={"User-Agent": IPHONE}) as reader:
            match deed:
                case "the recipient opens the mail and follows the first link":
                    assert (await reader.get(self._made["open_url"])).status_code == 200
                    assert (await reader.get(click_of(self._made))).status_code == 302
                case "the recipient unsubscribes":
                    assert (await reader.post(self._made["unsubscribe_url"])).status_code == 200
                case "OPT_OUT is the suppression of the recipient":
                    (row,) = await rows_of(self._customer, origin="recipient")
                    self._variables["OPT_OUT"] = row["id"]
                    await past(row)
                case "CONSENTED_AT is the time now":
                    self._variables["CONSENTED_AT"] = consent()["consented_at"]
                case _:
                    raise AssertionError(deed)


def listed(answer: Any) -> list[Any]:
    """The items of a list."""
    items = answer.get("data", []) if isinstance(answer, dict) else []
    return [item for item in items if isinstance(item, dict)]


def cells_of(lines: list[str]) -> list[list[str]]:
    """The cells of a file, line by line."""
    return list(csv.reader(lines, strict=True))


@pytest.mark.parametrize(
    ("document", "fewest"), [(DOCUMENT, 9), (ACCOUNT, 5), (LISTS, 9)], ids=["api", "account", "lists"]
)
async def test_every_example_gets_the_answer_it_shows(tmp_path: Path, document: str, fewest: int) -> None:
    """All of them: no command is left out, and no answer is shown that nothing gives."""
    examples = shown = 0
    async with serving(tmp_path) as served:
        walk = Walk(served, await served.customer())
        for part in parts(document):
            if isinstance(part, str):
                await walk.do(part)
                continue
            await walk.try_out(part)
            examples += 1
            shown += part.answer is not None
    assert examples == document.count("```sh\n") >= fewest
    assert shown == len(_ANSWER.findall(document))


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


async def test_quotas_are_told_as_it_is_shown(tmp_path: Path) -> None:
    """Of a new key: the names, the numbers of the settings, and what changes with every call."""
    (shown,) = re.findall(r"^```http\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
    fields = dict(line.split(": ", 1) for line in shown.splitlines())
    async with serving(tmp_path) as served:
        answer = await (await served.customer()).api.get("/v1/account")
    assert answer.headers["ratelimit-policy"] == fields["RateLimit-Policy"]
    pattern = re.sub(r"r=\d+;t=\d+", r"r=\\d+;t=\\d+", fields["RateLimit"])
    assert re.fullmatch(pattern, answer.headers["ratelimit"])


async def test_every_route_is_in_a_document(tmp_path: Path) -> None:
    """What the API answers is written down, and what is written down is answered."""
    async with serving(tmp_path) as served:
        paths = {re.sub(r"\{\w+(?::\w+)?\}", "*", route.path) for route in served.app.router.routes}
    written = re.findall(r"(?:\$TRACKER|(?:GET|POST|PUT|DELETE) )(/v1/[-\w/$<>{}]+)", DOCUMENT + ACCOUNT + LISTS)
    known = {path for path in paths if path.startswith("/v1/")}
    assert {re.sub(r"\{\w+\}|\$\w+", "*", path) for path in written} == known
