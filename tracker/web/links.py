"""The URLs of one message: what its links, its pixel and its way out are called on this host."""

from dataclasses import dataclass

from ..domain.destinations import judge_destination
from ..domain.links import Links
from ..mail.links import Tracked


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageUrls:
    """Makes the URLs of one message; path only, nothing in the query."""

    links: Links
    base_url: str
    account: bytes
    message: bytes
    address_key: bytes

    @property
    def open_url(self) -> str:
        """The pixel."""
        return f"{self.base_url}/o/{self.links.sign_open(self.account, self.message)}.gif"

    @property
    def unsubscribe_url(self) -> str:
        """The one-click unsubscribe link."""
        return f"{self.base_url}/u/{self.links.sign_unsubscribe(self.account, self.message, self.address_key)}"

    @property
    def preferences_url(self) -> str:
        """The recipient's own page."""
        return f"{self.base_url}/p/{self.links.sign_preferences(self.account, self.message, self.address_key)}"

    def track(self, number: int, url: str) -> Tracked:
        """A click link. Raises ``BadDestination`` for a URL that cannot be one."""
        destination = judge_destination(url)
        token = self.links.sign_click(self.account, self.message, number, destination)
        return Tracked(destination=destination, href=f"{self.base_url}/c/{token}")
