"""What happened to a mail: hits as they arrive, events as a customer sees them."""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from .audit import AuditEntry
from .ids import Id
from .receipts import Receipt
from .times import Time

LONGEST_USER_AGENT = 512
LONGEST_REFERRER = 500

_IPV4 = re.compile(r"(\d{1,3}\.\d{1,3}\.\d{1,3}\.)\d{1,3}", re.ASCII)


class EventType(StrEnum):
    """The words of the field (they are django-anymail's)."""

    OPENED = "opened"
    CLICKED = "clicked"
    UNSUBSCRIBED = "unsubscribed"
    RESUBSCRIBED = "resubscribed"


class Method(StrEnum):
    """How a person opted out, with the mail program's button (RFC 8058) or on our page, or took that back."""

    ONE_CLICK = "one_click"
    PAGE = "page"
    UNDO = "undo"
    LIFT = "lift"


class Hit(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One request of a reader, as the journal keeps it.

    ``account`` is 8 bytes and ``message`` 16; ``occurred_at`` is Unix milliseconds. ``network`` is the reader's
    address without its last part, which is never kept; ``prefetch`` says that a browser asked ahead of the person,
    ``blocked`` that the link was stopped for abuse, and nobody led on.
    ``type`` is a word of :class:`EventType`, as plain text: hashing and storing a member takes longer than a hit may.
    """

    type: str
    account: bytes
    message: bytes
    occurred_at: int
    user_agent: str = ""
    network: str | None = None
    referrer: str | None = None
    prefetch: bool = False
    blocked: bool = False
    link: int | None = None
    url: str | None = None
    method: Method | None = None


class OptOut(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A person's "no more", with the hit that said it. ``suppression`` is the id of the row it would make."""

    hit: Hit
    address_key: bytes
    suppression: bytes


class Consent(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What a customer says of a person's later consent: when (Unix milliseconds), by what way, and its proof."""

    consented_at: int
    method: str
    evidence: str


class Undo(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A person takes an opt-out back, with the hit that said it. ``suppression`` is the id of the row that goes.

    With a ``consent`` it is the customer who says so, and the consent is kept in its place. A ``receipt`` is kept
    beside it, and an entry of the ``audit`` trail.
    """

    hit: Hit
    suppression: bytes
    consent: Consent | None = None
    receipt: Receipt | None = None
    audit: AuditEntry | None = None


Entry = Hit | OptOut | Undo
"""What the journal takes."""


class JournalRow(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A hit with the journal's key, which grows in the order of commits."""

    key: int
    hit: Hit


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """What showed the mail or opened the link, as far as its request tells."""

    user_agent: str | None
    name: Annotated[str, Meta(description="Of the mail program or browser.")] | None
    os: str | None
    device: str | None
    ip: Annotated[str, Meta(description="The reader's network: a /24, or a /48 of IPv6.")] | None
    proxied: Annotated[bool, Meta(description="Whether a mailbox provider's proxy fetched for the reader.")]
    referrer: str | None


class VerdictShown(msgspec.Struct, frozen=True, kw_only=True):
    """Person or machine, and why."""

    value: Annotated[str, Meta(extra_json_schema={"enum": ["human", "machine", "unknown"]})]
    machine_class: Annotated[str, Meta(description="The sign that decided.")] | None = msgspec.field(name="class")
    signals: Annotated[Sequence[str], Meta(description="Every sign that was seen.")]


class RecipientShown(msgspec.Struct, frozen=True, kw_only=True):
    """A recipient as every answer shows it; all null once erased."""

    id: Id | None
    external_id: Annotated[str, Meta(description="Your own name for the recipient.")] | None
    email: Annotated[str, Meta(description="As it was written in that message.")] | None


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """An event as customers see it, in JSON as it stands here."""

    id: Annotated[Id, Meta(description="Stays the event's for life.")]
    sequence: Annotated[int, Meta(description="The number of this change; the account's own, without holes.")]
    revision: Annotated[int, Meta(description="1, and one more for each change of the event.")]
    type: str
    occurred_at: Time
    campaign: str | None
    topic: str | None
    message_id: Id | None
    recipient: RecipientShown
    url: Annotated[str, Meta(description="Of a click: where the link leads.")] | None
    link: Annotated[int, Meta(description="Of a click: the number of the link.")] | None
    method: Annotated[str, Meta(description="Of an opt-out, and of taking it back: by what way.")] | None
    client: Client
    verdict: VerdictShown
    metadata: Mapping[str, Any]


class ErasedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What is left of an event that was erased, in the place of each of its changes, and once more for being erased."""

    sequence: Annotated[int, Meta(description="The number of this change; the account's own, without holes.")]
    id: Annotated[Id, Meta(description="Of the event that was erased.")]
    type: Literal["erased"] = "erased"


def cleaned(text: str, longest: int) -> str:
    """``text`` as every database stores it: cut, without NUL and without half a surrogate pair."""
    cut = text[:longest]
    if cut.isascii():
        return cut.replace("\0", "")
    return cut.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def network_of(address: str) -> str | None:
    """The network a reader's address lies in: its /24, or its /48 for IPv6; None for anything else.

    Written as the first address of that network, so that ``203.0.113.77`` becomes ``203.0.113.0``.
    """
    if ":" in address:
        return _network_of_ipv6(address)
    match = _IPV4.fullmatch(address)
    return f"{match[1]}0" if match else None


def _network_of_ipv6(address: str) -> str | None:
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return None
    # The /48 of a 6to4 address is the whole IPv4 address of the reader.
    inner = parsed.ipv4_mapped or parsed.sixtofour
    if inner is not None:
        return network_of(str(inner))
    return str(ipaddress.IPv6Address(int(parsed) >> 80 << 80))
