"""Who may make messages, how many, and where their links may lead."""

import time

from ..domain.destinations import BadDestination
from ..domain.receipts import Receipt
from ..mail.links import Track, Tracked
from ..storage.accounts import Account
from ..storage.messages import Messages, NewMessage, TooMany
from ..workers.stops import StopList
from .problems import Problem

_DAY_S = 24 * 60 * 60


class Senders:
    """Keeps abuse from being sent: nothing is made for a blocked account, and so much a day for a limited one."""

    def __init__(self, messages: Messages, stops: StopList, *, limited_messages: int) -> None:
        self._messages = messages
        self._stops = stops
        self._limited_messages = limited_messages

    def permit(self, account: Account) -> None:
        """Whether the account may make messages at all. Raises ``Problem`` when it is blocked."""
        if self._stops.now.stops_account(account.id):
            raise Problem("account-blocked", "The operator has blocked this account for abuse; nothing was made.")

    def permit_signing(self, account: Account) -> None:
        """The same for links that are made without asking us, which nobody could count."""
        self.permit(account)
        if account.limited:
            detail = "This account can make its own click links once the operator of this server has confirmed it."
            raise Problem("account-not-confirmed", detail)

    async def add(self, account: Account, *made: NewMessage, receipt: Receipt | None = None) -> dict[bytes, bytes]:
        """Store the messages with the receipt of their call, and give each one's recipient.

        Raises ``Problem`` when that is too many for today, and ``Stale``.
        """
        most = self._limited_messages if account.limited else None
        try:
            return await self._messages.add(*made, most_a_day=most, receipt=receipt)
        except TooMany as error:
            raise Problem(
                "account-limited",
                f"Until the operator of this server has confirmed it, this account may make {most:,} messages a day "
                f"(UTC). {error.left:,} are left today, {len(made):,} were asked for, and none was made.",
                headers={"Retry-After": str(_DAY_S - int(time.time()) % _DAY_S)},
                limit=most,
                left=error.left,
            ) from None

    def within(self, account: Account, track: Track) -> Track:
        """``track``, where the links of the account may lead."""
        stops = self._stops.now

        def tracked(number: int, url: str) -> Tracked:
            found = track(number, url)
            if (why := stops.refusal(account.id, found.destination)) is not None:
                raise BadDestination(why)
            return found

        return tracked
