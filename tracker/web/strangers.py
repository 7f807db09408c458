"""Who sends what is not ours: wrong API keys, and links that were damaged or made up.

Only what is wrong is ever limited, and it is counted once it has turned out to be: a valid link is answered whoever
else uses the same address, and costs nothing more. Mailbox providers post opt-outs from few addresses.
"""

import time
from collections.abc import Callable

from starlette.responses import Response
from starlette.types import Scope

from ..domain.events import network_of
from ..domain.meters import Meter, Rate
from .pages import Pages


class Strangers:
    """Counts by network, in a table of a fixed size, in the memory of this process."""

    def __init__(
        self, rate: Rate, pages: Pages, *, most_networks: int = 10_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._meter = Meter(rate, most_names=most_networks)
        self._pages = pages
        self._clock = clock

    def wait_s(self, scope: Scope) -> int | None:
        """Count one more; after how many seconds to come again when that was one too many."""
        client, now = scope.get("client"), self._clock()
        network = network_of(client[0]) if client else None
        if self._meter.use(network, now).left > 0:
            self._meter.count(network, now)
            return None
        return self._meter.use(network, now).resets_in_s

    def bad_link(self, scope: Scope) -> Response:
        """The page for a link that is none of ours: 404, or 429 when too many came from there."""
        wait_s = self.wait_s(scope)
        return self._pages.not_found() if wait_s is None else self._pages.too_many(wait_s)
