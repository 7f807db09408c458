"""What is stopped for abuse, in memory: a click asks no database."""

from ..domain.blocks import Stops
from ..storage.blocks import Blocks
from .rereading import Rereading


class StopList(Rereading):
    """Loaded at the start, reread within a second of a change; its last state holds while it cannot be read."""

    def __init__(self, blocks: Blocks, *, interval_s: float = 0.5) -> None:
        super().__init__("the blocks", interval_s)
        self._blocks = blocks
        self._version = -1
        self.now = Stops()
        """All that is stopped."""

    async def refresh(self) -> None:
        """Read all of it again if it has changed."""
        version = await self._blocks.version()
        if version != self._version:
            self.now = await self._blocks.stops()
            self._version = version
