"""The mail of one reader as a mail program sees it, and what somebody without the keys can make of it."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from ..mail.charrefs import decode_attribute
from ..mail.scanner import scan
from .expecting import expect


class LinkReported(msgspec.Struct, frozen=True):
    """A link as the server reported it when it made the mail."""

    number: int
    url: str
    tracked: bool
    why: str | None = None


class Mail(msgspec.Struct, frozen=True):
    """What the server made for one reader."""

    id: str
    html: str
    links: Sequence[LinkReported]
    open_url: str
    unsubscribe_url: str
    headers: Mapping[str, str]

    @property
    def hrefs(self) -> list[str]:
        """Where its links lead, in the order of ``links``."""
        return [decode_attribute(self.html[href.start : href.end]) for href in scan(self.html).hrefs]

    @property
    def one_click_url(self) -> str:
        """Where the button of a mail program posts to (RFC 8058)."""
        return self.headers.get("List-Unsubscribe", "").removeprefix("<").removesuffix(">")


def check_mail(mail: Mail, original: str) -> None:
    """Raises ``Wrong`` unless the values of tracked links and one pixel are all that differs."""
    pixel = f'<img src="{mail.open_url}" width="1" height="1" alt="">'
    hrefs = mail.hrefs
    expect(mail.html.count(pixel) == 1, "the pixel does not stand in the mail once")
    around = list(_around_links(mail.html.replace(pixel, "")))
    expect(around == list(_around_links(original)), "more than links was changed in the mail")
    numbers = [link.number for link in mail.links]
    expect(
        numbers == list(range(len(hrefs))), f"{len(numbers)} links are reported of {len(hrefs)}, or in another order"
    )
    for link, href in zip(mail.links, hrefs, strict=True):
        expect(link.tracked != (href == link.url), f"link {link.number} is not as it is reported: {href}")
    posted = mail.headers.get("List-Unsubscribe-Post")
    expect(posted == "List-Unsubscribe=One-Click", "the mail lacks the headers of one-click unsubscribe (RFC 8058)")


def _around_links(html: str) -> Iterator[str]:
    end = 0
    for href in scan(html).hrefs:
        yield html[end : href.start]
        end = href.end
    yield html[end:]


def forged_pixel(mail: Mail) -> str:
    """The URL of the mail's pixel with a signature made up."""
    front, dot, signature = mail.open_url.removesuffix(".gif").rpartition(".")
    return f"{front}{dot}{signature[::-1]}.gif"


def forged_link(mail: Mail, destination: str) -> str:
    """A link to ``destination`` as ``docs/tokens.md`` describes it, with the signature of the mail's pixel.

    Raises ValueError when the pixel's URL is none that can be taken apart.
    """
    front, _, token = mail.open_url.removesuffix(".gif").rpartition("/o/")
    payload, _, signature = token.rpartition(".")
    first_link = bytes(2)
    forged = urlsafe_b64decode(payload + "=" * (-len(payload) % 4)) + first_link + destination.encode()
    return f"{front}/c/{urlsafe_b64encode(forged).decode().rstrip('=')}.{signature}"
