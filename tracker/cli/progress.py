"""How far a long piece of work is: a bar on a terminal, lines elsewhere; on standard error."""

import sys
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

import click

_MB = 1_000_000
_WORTH_TELLING = _MB // 10


class Progress:
    """Told what is being done, and how much of it is done; entered for as long as it may show something.

    Where there is no bar, each step has a line when it begins, and with ``line_every`` one after so many bytes. What is
    not counted ``bytewise`` has no size in those lines.
    """

    def __init__(self, *, quiet: bool, line_every: int | None = None, bytewise: bool = True) -> None:
        self._bytewise = bytewise
        self._quiet = quiet
        self._line_every = line_every
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

    def tell(self, step: str, done: int, total: int | None) -> None:
        """Show that so many bytes of so many of a step are done; of a total that nobody knows there is no bar."""
        if self._quiet:
            return
        if step != self._step:
            self._begin(step, total)
        if self._bar is not None:
            self._bar.update(done - self._shown)
            self._shown = done
        elif self._line_every is not None and done // self._line_every > self._shown // self._line_every:
            self._shown = done
            of = f" of {total / _MB:,.1f}" if total is not None else ""
            click.echo(f"{_capitalized(step)}: {done / _MB:,.1f}{of} MB", err=True)

    def _begin(self, step: str, total: int | None) -> None:
        self._bars.close()
        self._step, self._shown = step, 0
        if total is not None and sys.stderr.isatty():
            bar = click.progressbar(length=max(total, 1), label=_capitalized(step), file=sys.stderr)
            self._bar = self._bars.enter_context(bar)
        else:
            size = (
                f" ({total / _MB:.1f} MB)" if self._bytewise and total is not None and total >= _WORTH_TELLING else ""
            )
            click.echo(f"{_capitalized(step)}{size}", err=True)


def _capitalized(step: str) -> str:
    return f"{step[0].upper()}{step[1:]}"
