"""How far a long piece of work is: a bar on a terminal, a line a step elsewhere; on standard error."""

import sys
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

import click

_MB = 1_000_000


class Progress:
    """Told what is being done, and how much of it is done; entered for as long as it may show something."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._step = ""
        self._shown = 0
        self._bar: Any = None
        self._bars = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.close()

    def tell(self, step: str, done: int, total: int) -> None:
        """Show that so many bytes of so many of a step are done."""
        if self._quiet:
            return
        if step != self._step:
            self._begin(step, total)
        if self._bar is not None:
            self._bar.update(done - self._shown)
            self._shown = done

    def _begin(self, step: str, total: int) -> None:
        self._bars.close()
        self._step, self._shown = step, 0
        label = f"{step[0].upper()}{step[1:]}"
        if sys.stderr.isatty():
            bar = click.progressbar(length=max(total, 1), label=label, file=sys.stderr)
            self._bar = self._bars.enter_context(bar)
        else:
            size = f" ({total / _MB:.1f} MB)" if total > 1 else ""
            click.echo(f"{label}{size}", err=True)
