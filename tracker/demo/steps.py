"""The steps of the story as they were, and what they come to."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..domain.events import Event
from .mail import Mail
from .sender import Checked
from .wire import Exchange


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Something to be shown in columns, and a sentence about it."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    sentence: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step of the story: what it claims, and the flaw that refutes it, if there is one."""

    number: int
    claim: str
    flaw: str | None
    exchanges: Sequence[Exchange]
    table: Table | None

    @property
    def good(self) -> bool:
        """Whether the step had the result it claims."""
        return self.flaw is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the story came to; ``mail`` is there to be tried by hand, and ``link`` a tracked one of it."""

    steps: Sequence[Step]
    mail: Mail | None
    link: str | None
    events: Sequence[Event]
    suppressions: Sequence[Checked]

    @property
    def failed(self) -> Sequence[Step]:
        """The steps that did not have the result they claim."""
        return [step for step in self.steps if not step.good]
