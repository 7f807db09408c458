"""Making a mail that is tracked: its links, its pixel and its way out."""

import asyncio
import time
from collections.abc import Mapping
from typing import Annotated, Any, NoReturn
from urllib.parse import urlencode

import msgspec
from msgspec import Meta
from starlette.responses import Response

from ..domain.addresses import Address, InvalidAddress, address_key, read_address
from ..domain.events import Event, RecipientShown
from ..domain.ids import BadId, Id, new_id, parse_id, written
from ..domain.links import Links
from ..domain.times import Time, written_time
from ..mail.headers import unsubscribe_headers
from ..mail.html import rewrite_html
from ..mail.links import Link, Track
from ..mail.text import rewrite_text
from ..storage.accounts import Account
from ..storage.events import EventFilter, Events
from ..storage.messages import Message, Messages, NewMessage
from ..storage.suppressions import Suppressions
from ..workers.backlog import Backlog
from . import examples
from .answers import json_answer
from .bodies import MIB, JsonBody
from .cursors import Cursors
from .event_questions import EventQuestion
from .fields import ID_SCHEMA, Campaign, Email, ExternalId, Metadata, Topic
from .links import MessageUrls
from .names import checked_name, external_id_flaw, metadata_flaws
from .operations import Answer, Call, Endpoint, Operation, PathParameter
from .problems import Flaw, Problem, flawed
from .senders import Senders

_EVENTS_SHOWN = 1_000


class RecipientIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whom a message is for."""

    email: Email
    external_id: ExternalId | None = None


class TrackingIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is tracked in a message."""

    opens: Annotated[bool, Meta(description="Whether a pixel is added.")] = True
    clicks: Annotated[bool, Meta(description="Whether the links of html are tracked.")] = True
    text_clicks: Annotated[bool, Meta(description="Whether the links of text are tracked too.")] = False


class MessageIn(msgspec.Struct, forbid_unknown_fields=True):
    """A message to be made."""

    campaign: Campaign
    recipient: RecipientIn
    topic: Topic | None = None
    html: Annotated[str, Meta(description="The mail; the values of href change, and one pixel is added.")] | None = None
    text: Annotated[str, Meta(description="Its plain text, rewritten only with text_clicks.")] | None = None
    metadata: Metadata = {}
    tracking: TrackingIn = TrackingIn()


class MessageOut(msgspec.Struct, frozen=True, kw_only=True):
    """What a mailer needs of a message, whenever it asks."""

    id: Id
    campaign: str
    topic: str | None
    recipient: RecipientShown
    created_at: Time
    open_url: Annotated[str, Meta(description="The pixel, if opens are tracked.")] | None
    unsubscribe_url: str
    preferences_url: Annotated[str, Meta(description="The recipient's own page.")]
    headers: Annotated[Mapping[str, str], Meta(description="To be added to the mail, and signed with DKIM.")]


class LinkShown(msgspec.Struct, frozen=True, omit_defaults=True):
    """A link of the mail; ``why`` says why it is not tracked."""

    number: int
    url: str
    tracked: bool
    why: Annotated[str, Meta(description="What kept it from being tracked.")] | None = None


class MessageMade(MessageOut, frozen=True, kw_only=True):
    """A message just made, with its rewritten parts."""

    html: str | None
    text: str | None
    links: list[LinkShown]


class MessageWithEvents(MessageOut, frozen=True, kw_only=True):
    """A message and what became of it, newest first."""

    metadata: Mapping[str, Any]
    sent_at: Time | None
    events: list[Event]
    events_next: Annotated[str, Meta(description="Where there are more events, the URL that lists them.")] | None


_CREATE = Operation(
    name="create_message",
    subject="Messages",
    method="POST",
    path="/v1/messages",
    scope="messages",
    effect="main",
    summary="Make a tracked mail",
    description="One message is one mail to one recipient; the same address twice is two messages. Send html and text "
    "as they come back, with both fields of headers.",
    body=JsonBody(MessageIn, 5 * MIB, example=examples.QUESTION),
    answers=[
        Answer(
            status=201,
            description="The message is made, and stands on stable storage.",
            content=MessageMade,
            headers=["Location"],
            example=examples.MADE,
        )
    ],
    problems=["recipient-suppressed", "account-blocked", "account-limited"],
)

_READ = Operation(
    name="read_message",
    subject="Messages",
    method="GET",
    path="/v1/messages/{id}",
    scope="messages",
    summary="Read a message with its events",
    description=f"At most {_EVENTS_SHOWN:,} events are shown, the newest first; events_next leads to the others, for a "
    "key of scope events.",
    path_parameters=[PathParameter(name="id", description="The message's id.", schema=ID_SCHEMA)],
    answers=[
        Answer(
            status=200,
            description="The message, and what became of it.",
            content=MessageWithEvents,
            headers=["Tracker-Lag"],
            example=examples.READ,
        )
    ],
    problems=["not-found"],
)


class _Made(msgspec.Struct, frozen=True):
    """A new message; ``created_at`` is Unix milliseconds."""

    id: bytes
    created_at: int


class MessagesApi:
    """``/v1/messages``."""

    def __init__(
        self,
        senders: Senders,
        messages: Messages,
        suppressions: Suppressions,
        events: Events,
        backlog: Backlog,
        links: Links,
        cursors: Cursors,
        base_url: str,
    ) -> None:
        self._senders = senders
        self._messages = messages
        self._suppressions = suppressions
        self._events = events
        self._backlog = backlog
        self._links = links
        self._cursors = cursors
        self._base_url = base_url

    def endpoints(self) -> list[Endpoint]:
        """Its part of the table."""
        return [Endpoint(_CREATE, self.create, permit=self._senders.permit), Endpoint(_READ, self.read)]

    async def create(self, call: Call[None, MessageIn]) -> Response:
        """201 with the rewritten parts, or 409 and nothing made when the recipient is suppressed.

        An answer means "send", so a call that is sent again gets the 409 as well once the recipient is suppressed.
        """
        account, wanted = call.account, call.body
        address = _checked(wanted)
        key = address_key(address.canonical, account.pepper)
        await self._refuse_suppressed(account, key, wanted.topic, repeated=call.once.repeated)
        made = call.once.made(_Made) or _Made(new_id(), time.time_ns() // 1_000_000)
        new = _new_message(account, wanted, address, key, made)
        urls = self._urls(account, new.id, key)
        track = self._senders.within(account, urls.track)
        # A long newsletter takes milliseconds, which no pixel should wait for.
        html, text, links = await asyncio.to_thread(_rewrite, wanted, urls, track)
        if call.once.repeated:
            recipients = await self._messages.recipients_of(account.id, [new.id])
        else:
            recipients = await self._senders.add(account, new, receipt=call.once.receipt(made))
        shown = [LinkShown(link.number, link.url, link.tracked, link.why) for link in links]
        answer = MessageMade(**shown_message(new, recipients.get(new.id), urls), html=html, text=text, links=shown)
        return json_answer(answer, 201, {"Location": f"{self._base_url}/v1/messages/{answer.id}"})

    async def read(self, call: Call[None, None]) -> Response:
        """A message with its events."""
        account = call.account
        message = await self._find(account, call.path["id"])
        key = await self._messages.address_key_of(account.id, message.recipient)
        lag_s = await self._backlog.caught_up()
        events, events_next = await self._events_of(account, message.id)
        shared = shown_message(message, message.recipient, self._urls(account, message.id, key))
        sent_at = written_time(message.sent_at) if message.sent_at is not None else None
        found = MessageWithEvents(
            **shared, metadata=message.metadata, sent_at=sent_at, events=events, events_next=events_next
        )
        return json_answer(found, headers=lag_header(lag_s))

    async def _events_of(self, account: Account, message: bytes) -> tuple[list[Event], str | None]:
        """The newest events of a message, and the URL of those before them."""
        question = EventQuestion(filter=EventFilter(message=message), descending=True, limit=_EVENTS_SHOWN, cursor=None)
        events, beyond = await self._events.page(
            account.id, question.filter, limit=_EVENTS_SHOWN, beyond=None, descending=True
        )
        if beyond is None:
            return events, None
        cursor = self._cursors.write(account.id, question.signature, beyond)
        return events, f"{self._base_url}/v1/events?{urlencode({'message': written(message), 'cursor': cursor})}"

    async def _refuse_suppressed(self, account: Account, key: bytes, topic: str | None, *, repeated: bool) -> None:
        standing = (await self._suppressions.matching(account.id, [key], topic)).get(key)
        if standing is not None:
            made = "do not send the message that was made before" if repeated else "no message was made"
            raise Problem(
                "recipient-suppressed",
                f"This recipient must not be written to; {made}.",
                reason=standing.reason,
                scope=standing.scope,
            )

    async def _find(self, account: Account, written_id: str) -> Message:
        try:
            message = await self._messages.find(account.id, parse_id(written_id))
        except BadId:
            message = None
        if message is None:
            raise Problem("not-found", "There is no such message.")
        return message

    def _urls(self, account: Account, message: bytes, key: bytes) -> MessageUrls:
        return MessageUrls(
            links=self._links, base_url=self._base_url, account=account.id, message=message, address_key=key
        )


def lag_header(lag_s: float | None) -> dict[str, str]:
    """Says by how many seconds an answer is behind, when it is."""
    return {} if lag_s is None else {"Tracker-Lag": f"{lag_s:.3f}"}


def _checked(wanted: MessageIn) -> Address:
    """The recipient's address, once all of the message has been found good. Names become NFC."""
    wanted.campaign = checked_name("campaign", wanted.campaign)
    if wanted.topic is not None:
        wanted.topic = checked_name("topic", wanted.topic)
    flaws = metadata_flaws("#/metadata", wanted.metadata)
    if flaw := external_id_flaw(wanted.recipient.external_id):
        flaws.append(Flaw("#/recipient/external_id", flaw))
    try:
        address = read_address(wanted.recipient.email)
    except InvalidAddress as error:
        raise flawed([Flaw("#/recipient/email", str(error)), *flaws]) from None
    if flaws:
        raise flawed(flaws)
    return address


def _new_message(account: Account, wanted: MessageIn, address: Address, key: bytes, made: _Made) -> NewMessage:
    return NewMessage(
        account=account.id,
        id=made.id,
        address=address.identity,
        address_key=key,
        email=address.raw,
        external_id=wanted.recipient.external_id,
        campaign=wanted.campaign,
        topic=wanted.topic,
        metadata=wanted.metadata,
        opens=wanted.tracking.opens,
        clicks=wanted.tracking.clicks,
        created_at=made.created_at,
    )


def _rewrite(wanted: MessageIn, urls: MessageUrls, track: Track) -> tuple[str | None, str | None, list[Link]]:
    html, text, links = wanted.html, wanted.text, list[Link]()
    own = f"{urls.base_url}/"
    if html is not None:
        allowed = track if wanted.tracking.clicks else _leave
        pixel = urls.open_url if wanted.tracking.opens else None
        rewritten = rewrite_html(html, track=allowed, own=own, pixel=pixel)
        html, links = rewritten.content, list(rewritten.links)
    if text is not None and wanted.tracking.clicks and wanted.tracking.text_clicks:
        rewritten = rewrite_text(text, track=track, own=own, first=len(links))
        text, links = rewritten.content, links + list(rewritten.links)
    return html, text, links


def _leave(_number: int, _url: str) -> NoReturn:
    raise ValueError("click tracking is off")


def shown_message(message: NewMessage | Message, recipient: bytes | None, urls: MessageUrls) -> dict[str, Any]:
    """The fields of a ``MessageOut``. The recipient is None when it is gone."""
    unsubscribe_url = urls.unsubscribe_url
    recipient_id = written(recipient) if recipient is not None else None
    return {
        "id": written(message.id),
        "campaign": message.campaign,
        "topic": message.topic,
        "recipient": RecipientShown(id=recipient_id, external_id=message.external_id, email=message.email),
        "created_at": written_time(message.created_at),
        "open_url": urls.open_url if message.opens else None,
        "unsubscribe_url": unsubscribe_url,
        "preferences_url": urls.preferences_url,
        "headers": unsubscribe_headers(unsubscribe_url),
    }
