"""What the operator has stopped for abuse."""

import time
from contextlib import suppress

import msgspec

from ..domain.blocks import Kind, Stops
from ..domain.ids import new_id, parse_account_id
from .audit import recorded_of_operator
from .database import Change, Database, Row, Stale
from .statements import load_statements

_SQL = load_statements("blocks")


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """A block. ``value`` is spelt as :func:`~..domain.blocks.block_value` does; ``created_at`` is Unix milliseconds."""

    id: bytes
    kind: Kind
    value: str
    reason: str
    created_at: int


class Blocks:
    """Blocks, as the main database holds them. Servers notice a change by its version."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, kind: Kind, value: str, reason: str) -> tuple[Block, bool]:
        """The block that stands now, and whether it is new: what is blocked already stays as it is."""
        identifier = new_id()
        row = {"kind": kind, "value": value, "id": identifier, "reason": reason, "created_at": _now()}
        with suppress(Stale):
            await self._database.write(
                Change(_SQL["insert_block"], [row], affects=1),
                Change(_SQL["touch_blocks"]),
                *_recorded("account.blocked", kind, value),
            )
        standing = _block((await self._database.fetch(_SQL["block"], kind=kind, value=value))[0])
        return standing, standing.id == identifier

    async def remove(self, block: Block) -> bool:
        """Whether it stood until now."""
        named = {"kind": block.kind, "value": block.value}
        try:
            await self._database.write(
                Change(_SQL["delete_block"], [named], affects=1),
                Change(_SQL["touch_blocks"]),
                *_recorded("account.unblocked", block.kind, block.value),
            )
        except Stale:
            return False
        return True

    async def find(self, kind: Kind, value: str) -> Block | None:
        """The block of this."""
        rows = await self._database.fetch(_SQL["block"], kind=kind, value=value)
        return _block(rows[0]) if rows else None

    async def find_by_id(self, identifier: bytes) -> Block | None:
        """The block of that id."""
        rows = await self._database.fetch(_SQL["block_by_id"], id=identifier)
        return _block(rows[0]) if rows else None

    async def all(self) -> list[Block]:
        """Every block, the oldest first."""
        return [_block(row) for row in await self._database.fetch(_SQL["all_blocks"])]

    async def version(self) -> int:
        """A number that grows with every change of what is stopped."""
        rows = await self._database.fetch(_SQL["version"])
        return int(rows[0]["version"])

    async def stops(self) -> Stops:
        """All that is stopped, for the memory of a server."""
        blocks = await self._database.fetch(_SQL["all_blocks"])
        restricted = await self._database.fetch(_SQL["allowed_hosts"])
        return Stops(
            ((row["kind"], row["value"]) for row in blocks),
            {row["id"]: row["allowed_hosts"].split() for row in restricted},
        )


def _recorded(action: str, kind: Kind, value: str) -> list[Change]:
    """An account is told what was done to it; other blocks are about no account."""
    return [recorded_of_operator(action, parse_account_id(value), at=_now())] if kind is Kind.ACCOUNT else []


def _block(row: Row) -> Block:
    return Block(
        id=row["id"], kind=Kind(row["kind"]), value=row["value"], reason=row["reason"], created_at=row["created_at"]
    )


def _now() -> int:
    return time.time_ns() // 1_000_000
