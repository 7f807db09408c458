"""How the demo is shown: lines of their own, no wider than the terminal, with nothing a terminal would obey."""

import os
import sys
from collections.abc import Sequence

import pytest

from tracker.cli.screen import Screen, fitted, printable, screen_of_terminal, shortened_path
from tracker.demo.steps import Step, Table
from tracker.demo.wire import Exchange

TOKEN = "AV0dIi4zz9bgAaIEJsidcECzJWJpvqEWZA.VFDX8H5crLwoSlzXLAw_uA"
LONG = "https://shop.example.com/" + "a" * 300


def step(*, flaw: str | None = None, url: str = LONG) -> Step:
    """A step with something in every place."""
    exchange = Exchange(method="GET", path=f"/o/{TOKEN}.gif", sent="Apple Mail", status=302, came=url)
    table = Table(heads=("LINK", "LEADS TO"), rows=[(str(number), url) for number in range(23)], sentence="A sentence.")
    return Step(number=3, claim="The picture comes.", flaw=flaw, exchanges=[exchange], table=table)


def shown(step: Step, *, width: int = 80, colour: bool = False) -> list[str]:
    """The lines a step is shown in."""
    lines: list[str] = []
    Screen(lines.append, width=width, colour=colour).step(step)
    return lines


def widest(lines: Sequence[str]) -> int:
    return max(map(len, lines))


def test_a_step_says_what_it_claims_and_that_it_was_so() -> None:
    """Number, word and claim stand in one line."""
    assert shown(step())[0] == " 3  ok  The picture comes."


def test_a_failed_step_says_what_was_wrong() -> None:
    """In the line below its claim."""
    lines = shown(step(flaw="404 came instead of 200"))
    assert lines[0] == " 3  FAILED  The picture comes."
    assert lines[1].strip() == "404 came instead of 200"


def test_lines_are_as_wide_as_the_terminal_at_most() -> None:
    """Long URLs end in an ellipsis."""
    for width in (64, 80, 120):
        assert widest(shown(step(), width=width)) == width
    assert any(line.endswith("…") for line in shown(step()))


def test_a_long_table_ends_with_how_much_more_there_is() -> None:
    """A newsletter may have hundreds of links."""
    lines = [line.strip() for line in shown(step())]
    assert "19    https" in "".join(line[:11] for line in lines)
    assert "and 3 more" in lines
    assert "A sentence." in lines


def test_tokens_are_shortened_in_paths_alone() -> None:
    """Whole ones tell nobody anything; other paths stay."""
    assert shortened_path(f"/o/{TOKEN}.gif") == "/o/AV0d…w_uA.gif"
    assert shortened_path(f"/c/{TOKEN}") == "/c/AV0d…w_uA"
    assert shortened_path("/v1/suppressions/check") == "/v1/suppressions/check"


def test_colour_is_there_only_when_asked_for() -> None:
    """A file or a pipe gets plain text."""
    assert not any("\x1b" in line for line in shown(step()))
    assert any("\x1b[" in line for line in shown(step(), colour=True))


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_a_terminal_is_shown_colour_unless_its_owner_wants_none(
    monkeypatch: pytest.MonkeyPatch, no_color: str, coloured: bool
) -> None:
    """NO_COLOR counts when it is not empty (no-color.org)."""
    monkeypatch.setenv("NO_COLOR", no_color)
    master, slave = os.openpty()
    with os.fdopen(master, "rb", buffering=0) as seen, os.fdopen(slave, "w") as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        screen_of_terminal().heading("Hello")
        assert (b"\x1b[1mHello" in seen.read(100)) == coloured


def test_a_link_can_steer_no_terminal() -> None:
    """A newsletter is a stranger's text: what is no character to be seen is replaced."""
    assert printable("a\x1b[2J\r\nb\u202ec") == "a�[2J��b�c"
    lines = shown(step(url="https://shop.example.com/\x1b]0;title\x07\n", flaw="so \x1b[31m"))
    assert not any(set(line) & set("\x1b\x07\r\n") for line in lines)


def test_a_table_gives_up_its_widest_columns_first() -> None:
    """Short cells stay whole as long as long ones have something to give."""
    text = fitted(("NO", "URL", "TRACKED"), [("1", LONG, "yes"), ("2", "short", "no: merge tag")], 50)
    assert widest(text.splitlines()) == 50
    assert "no: merge tag" in text
