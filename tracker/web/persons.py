"""What the pages of a person have in common: whose they are, what stands, and what a request asks for."""

import asyncio
import contextlib
import time
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request

from ..domain.addresses import mask
from ..domain.events import LONGEST_USER_AGENT, EventType, Hit, Method, cleaned, network_of
from ..domain.links import Link, Links
from ..storage.database import Unavailable
from ..storage.messages import Messages
from ..storage.opt_outs import OptOuts, Stands
from ..workers.directory import Directory
from ..workers.writer import EventWriter
from .pages import Pages, Parties
from .strangers import Strangers
from .tallies import Tally

_LOOKED_AT_BYTES = 8 * 1024
_LOOKED_AT_S = 0.25
_NAMES_S = 0.1
_UNDO_FOR_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Persons:
    """What is asked and told where a person opts out and comes back."""

    links: Links
    writer: EventWriter
    directory: Directory
    messages: Messages
    opt_outs: OptOuts
    strangers: Strangers
    pages: Pages
    tally: Tally

    async def must_be_known(self, link: Link) -> None:
        """Raises ``Unavailable`` for an account that nothing is known of: it may be a database that came back old."""
        if await self.directory.find(link.account) is None:
            raise Unavailable("no such account")

    async def parties(self, link: Link) -> Parties:
        """Who sends and who receives, if that can be read in a moment: a page stands without."""
        sender = address = None
        with contextlib.suppress(TimeoutError, Unavailable):
            async with asyncio.timeout(_NAMES_S):
                account = await self.directory.find(link.account)
                sender = account.name if account else None
                message = await self.messages.find(link.account, link.message)
                address = mask(message.email) if message and message.email else None
        return Parties(sender=sender, address=address)

    async def stands(self, link: Link) -> Stands:
        """What keeps the account from writing to the address of the link. Raises ``Unavailable``."""
        return await self.opt_outs.stands(link.account, link.address_key or b"")

    async def may_undo(self, link: Link) -> bool:
        """Whether the person may take their opt-out back, as far as that can be read in a moment."""
        with contextlib.suppress(TimeoutError, Unavailable):
            async with asyncio.timeout(_NAMES_S):
                return undo_until(await self.stands(link), time.time_ns() // 1_000_000) is not None
        return False


def undo_until(stands: Stands, now: int) -> int | None:
    """Until when a person may take their opt-out back; None when they no longer may, or when it is not theirs."""
    standing = stands.opt_out
    if standing is None or standing.own_since is None or now - standing.own_since >= _UNDO_FOR_MS:
        return None
    return standing.own_since + _UNDO_FOR_MS


async def looked_at(request: Request) -> bytes:
    """The first 8 KiB of the body, as far as they are there soon: opting out never depends on them."""
    seen = bytearray()
    with contextlib.suppress(TimeoutError, ClientDisconnect):
        async with asyncio.timeout(_LOOKED_AT_S):
            async for chunk in request.stream():
                seen += chunk
                if len(seen) >= _LOOKED_AT_BYTES:
                    break
    return bytes(seen[:_LOOKED_AT_BYTES])


def wish_of(event: EventType, link: Link, method: Method, request: Request) -> Hit:
    """What a person asks for with this request."""
    return Hit(
        type=event,
        account=link.account,
        message=link.message,
        occurred_at=time.time_ns() // 1_000_000,
        user_agent=cleaned(request.headers.get("user-agent", ""), LONGEST_USER_AGENT),
        network=network_of(request.client.host) if request.client else None,
        method=method,
    )
