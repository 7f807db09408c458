"""What the documents point to is there, and every example in them is executed."""

import re
import shlex
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tracker.cli import tracker
from tracker.settings import Settings

ROOT = Path(__file__).parents[1]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")), ROOT / "benchmarks" / "README.md"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_between_documents_leads_somewhere(document: Path) -> None:
    """A reader is never sent to a page that was not written."""
    links = re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", document.read_text("utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []


API = ("docs/api.md", "docs/account.md", "docs/lists.md")
EXECUTED: dict[tuple[str, str], tuple[str, int | None]] = {
    **{(name, kind): ("tests/test_api_document.py", None) for name in API for kind in ("sh", "json", "csv")},
    ("docs/api.md", "http"): ("tests/test_api_document.py", 1),
    ("docs/addresses.md", "python"): ("tests/domain/test_addresses.py", 1),
    ("docs/settings.md", "sh"): ("tests/test_settings.py", 1),
    ("docs/tokens.md", "json"): ("tests/domain/test_tokens_document.py", 2),
    ("docs/tokens.md", "python"): ("tests/domain/test_tokens_document.py", 1),
}
"""The test that runs the blocks of a document that are in a language, and how many it runs; None for all there are."""

SESSIONS = ("console", "crontab")
"""What tests/test_document_sessions.py runs, in whatever document."""

EXCEPTIONS = {
    ("README.md", "sh"): "it installs; tests/cli/test_demo.py runs the demo, and the tests are what runs here",
    ("docs/architecture.md", "text"): "a picture",
    ("docs/metrics.md", "yaml"): "for Prometheus; tests/web/test_metrics.py compares the rules with what is measured",
    ("docs/postgresql.md", "sh"): "a server on another machine; tests/server/test_nodes.py starts nodes on one here",
    ("docs/reliability.md", "sh"): "it runs tests, for hours",
}
"""What no test executes, and why."""


_BLOCK = re.compile(r"^ *```([^\n]*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def blocks() -> Iterator[tuple[str, str, str]]:
    """Every fenced block: its document, its language and what stands in it."""
    for document in DOCUMENTS:
        for language, text in _BLOCK.findall(document.read_text("utf-8")):
            yield document.relative_to(ROOT).as_posix(), language, text


def test_every_example_is_executed() -> None:
    """By the test that is named here, as one of the sessions, or not at all for a reason that stands here."""
    found = Counter((name, language) for name, language, _ in blocks() if language not in SESSIONS)
    assert found.keys() == {*EXECUTED, *EXCEPTIONS} - {("docs/api.md", "csv"), ("docs/account.md", "csv")}
    assert {where: found[where] for where, (_, count) in EXECUTED.items() if count} == {
        where: count for where, (_, count) in EXECUTED.items() if count
    }
    for test, _ in EXECUTED.values():
        assert (ROOT / test).exists()


def test_commands_that_are_no_examples_exist() -> None:
    """Each ``tracker ...`` that a text mentions is a command with these options."""
    mentioned = {
        text for document in DOCUMENTS for text in re.findall(r"`(tracker [^`]+)`", document.read_text("utf-8"))
    }
    assert len(mentioned) > 30
    for text in mentioned:
        words = [word.rstrip(",") for word in shlex.split(text.replace("...", ""))][1:]
        command: click.Command = tracker
        while isinstance(command, click.Group) and words:
            names = words.pop(0).split("|")
            assert all(name in command.commands for name in names), text
            command = command.commands[names[0]]
        known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known, text


def test_prometheus_is_pointed_to_where_the_server_listens() -> None:
    """By default."""
    (target,) = re.findall(r'targets: \["(.+)"\]', (ROOT / "docs" / "metrics.md").read_text("utf-8"))
    assert target == f"{Settings().host}:{Settings().port}"
