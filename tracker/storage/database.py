"""The narrow waist: everything the rest of the package asks of a database."""

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

from ..domain.keys import BadKeyring

Row = Mapping[str, Any]
Values = Mapping[str, object] | tuple[object, ...]


class Unavailable(OSError):
    """The database does not answer now: locked, full or gone. Asking again later may help."""


class Broken(Unavailable):
    """A write or an fsync failed, so what the file holds is unknown until the process starts anew."""


class Refused(ValueError):
    """The database cannot take this data; the same data will be refused again."""


class Stale(RuntimeError):
    """Something this transaction builds on changed meanwhile; nothing of it was done."""


class BadDatabase(ValueError):
    """This database cannot be used at all; the message names the file and says what to do."""


_NAMES_NO_VALUE = (Unavailable, Refused, Stale, BadDatabase, BadKeyring)


def reason(error: BaseException) -> str:
    """What a log may say of an error: the words of one that is not ours may repeat what a row or a request holds."""
    if isinstance(error, _NAMES_NO_VALUE):
        return str(error)
    kind = type(error).__name__
    return f"{kind}: {error.strerror}" if isinstance(error, OSError) and error.strerror else kind


def unforeseen(error: BaseException) -> bool:
    """Whether a log should say where an error arose: it is neither ours nor the system's."""
    return not isinstance(error, (*_NAMES_NO_VALUE, OSError))


@dataclass(frozen=True, slots=True)
class Change:
    """A statement, and the rows to run it for: mappings by name, or tuples in the order the statement names them.

    ``affects``: the number of rows it must touch in all; otherwise the transaction is undone as :class:`Stale`.
    """

    sql: str
    rows: Sequence[Values] = ({},)
    affects: int | None = None


class Write(Protocol):
    """Makes changes of one file durable, all or none."""

    def __call__(self, *changes: Change) -> Awaitable[None]: ...


class Database(Protocol):
    """Opened by ``async with``. Statements name their parameters ``:like_this``; a list goes where ``in (:it)`` stands.

    Every verb raises :class:`Unavailable` when the database does not answer. ``whole`` says whether journal and
    suppressions stand in it too, for several servers; otherwise they have a file of their own, which one server writes.
    """

    whole: ClassVar[bool]

    async def __aenter__(self) -> Self: ...
    async def __aexit__(self, *exc: object) -> None: ...

    async def fetch(self, sql: str, /, **params: object) -> list[Row]:
        """Read. Never waits for a writer."""
        ...

    async def change(self, sql: str, /, **params: object) -> list[Row]:
        """Run one statement in a transaction of its own, and give what it returns."""
        ...

    async def write(self, *changes: Change) -> None:
        """Run all of the changes, or none; on stable storage when this returns.

        A transaction is a value, not a span of code: once begun it is finished, even when the caller
        is cancelled meanwhile. With no change at all it only learns whether writing can begin.
        Raises :class:`Refused` or :class:`Stale` with nothing changed.
        """
        ...

    async def inspect(self) -> list[str]:
        """What is damaged, in the database's own words; nothing when all is whole. Reads everything: it takes time."""
        ...

    async def scrub(self, *, at_once: bool = True) -> bool:
        """Whether deleted rows are now gone from every file; what somebody reads at this moment may have to stay.

        Where it need not be at once, a file that is written all the time may keep them for ten seconds more.
        """
        ...
