"""The key an account signs its own click links with, so that its mailer needs no call per mail."""

from base64 import urlsafe_b64encode

import msgspec
from starlette.responses import Response

from ..domain.ids import written
from ..domain.links import Links
from .answers import json_answer
from .operations import Answer, Call, Endpoint, Operation
from .senders import Senders


class LinkKey(msgspec.Struct, frozen=True):
    """All that making click links takes; ``docs/tokens.md`` says how. ``key`` is base64url without padding."""

    key_id: int
    account: str
    base_url: str
    key: str


_READ = Operation(
    name="read_link_key",
    subject="Messages",
    method="GET",
    path="/v1/link-key",
    scope="messages",
    summary="The account's own click key",
    description="What a mailer needs to make click links without a call per mail. Keep it secret: it signs clicks of "
    "this account, and nothing else. Ask again now and then, since new links should be of the newest key.",
    answers=[
        Answer(
            status=200,
            description="The key that signs now.",
            content=LinkKey,
            example={
                "key_id": 1,
                "account": "0102030405060708",
                "base_url": "https://t.example.com",
                "key": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
            },
        )
    ],
    problems=["account-blocked", "account-not-confirmed"],
)


class LinkKeyApi:
    """``/v1/link-key``."""

    def __init__(self, senders: Senders, links: Links, base_url: str) -> None:
        self._senders = senders
        self._links = links
        self._base_url = base_url

    def endpoints(self) -> list[Endpoint]:
        """Its part of the table."""
        return [Endpoint(_READ, self.read, permit=self._senders.permit_signing)]

    async def read(self, call: Call[None, None]) -> Response:
        """The click key that signs now; it can sign for no other account, and nothing but clicks."""
        own = self._links.click_key(call.account.id)
        key = urlsafe_b64encode(own.key).rstrip(b"=").decode("ascii")
        return json_answer(LinkKey(own.number, written(call.account.id), self._base_url, key))
