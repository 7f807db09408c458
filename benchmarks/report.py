"""What every benchmark says: progress while it runs, and at the end figures beside their targets."""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Target(NamedTuple):
    """A bound that a figure should keep, on either side."""

    sign: str
    bound: float

    def kept_by(self, value: float) -> bool:
        """Whether the figure is on the right side of it."""
        return value >= self.bound if self.sign == ">=" else value <= self.bound

    def __str__(self) -> str:
        return f"{self.sign} {self.bound:g}"


class Figure(NamedTuple):
    """One measured number."""

    name: str
    value: float
    unit: str = ""
    target: Target | None = None

    @property
    def verdict(self) -> str:
        """What to say of its target."""
        if self.target is None:
            return ""
        return f"target {self.target}: {'reached' if self.target.kept_by(self.value) else 'MISSED'}"


def at_least(bound: float) -> Target:
    """More is better."""
    return Target(">=", bound)


def at_most(bound: float) -> Target:
    """Less is better."""
    return Target("<=", bound)


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A parser with what every benchmark takes."""
    parser = argparse.ArgumentParser(description=description, formatter_class=_Formatter)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    return parser


class _Formatter(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    """The description as it is written, and each option with its default."""


def say(text: str) -> None:
    """Progress: it goes to standard error, so that standard output holds the figures alone."""
    print(text, file=sys.stderr, flush=True)


def show(title: str, figures: Iterable[Figure], *, as_json: bool, **settings: object) -> None:
    """Print the figures: a table for people, or one object of JSON with the settings they were measured with."""
    figures = list(figures)
    if as_json:
        print(json.dumps({"title": title, **settings, "figures": [_as_object(figure) for figure in figures]}, indent=1))
        return
    width = max(len(figure.name) for figure in figures)
    print(f"\n{title}")
    for figure in figures:
        print(f"  {figure.name:{width}}  {_written(figure.value):>10} {figure.unit:5} {figure.verdict}".rstrip())


def _written(value: float) -> str:
    if abs(value) >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 100 else f"{value:.0f}"


def _as_object(figure: Figure) -> Mapping[str, object]:
    shown: dict[str, object] = {"name": figure.name, "value": round(figure.value, 4), "unit": figure.unit}
    if figure.target is not None:
        shown |= {"target": str(figure.target), "reached": figure.target.kept_by(figure.value)}
    return shown
