"""The account itself, as its customer sees it."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.responses import Response

from ..domain.ids import written
from ..domain.times import Time, written_time
from ..storage.account_options import AccountOptions, AccountShown
from ..storage.accounts import Account, Accounts
from ..workers.stops import StopList
from .answers import json_answer
from .bodies import KIB, MergePatchBody
from .fields import label, word
from .names import label_flaw
from .operations import Answer, Call, Endpoint, Operation
from .problems import Problem, invalid

_PATH = "/v1/account"


class AccountPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a customer may change of the account; what is left out stays as it is."""

    name: Annotated[str, label("Readers see it on the page on which they unsubscribe.")] | UnsetType = UNSET


class AccountOut(msgspec.Struct, frozen=True, kw_only=True):
    """An account. All but its name is the operator's to change."""

    id: Annotated[str, Meta(description="16 hexadecimal digits.")]
    name: str
    created_at: Time
    state: Annotated[
        str,
        word(
            "active",
            "limited",
            "blocked",
            description="Limited: it makes few messages a day until the operator has confirmed it. Blocked for abuse: "
            "it makes none, and its links lead nowhere.",
        ),
    ]
    allowed_hosts: Annotated[Sequence[str], Meta(description="Where its links may lead; null: anywhere.")] | None


_SHOWN = {
    "id": "0102030405060708",
    "name": "Larkspur",
    "created_at": "2026-11-22T10:00:00.000Z",
    "state": "active",
    "allowed_hosts": None,
}

_READ = Operation(
    name="read_account",
    subject="Account",
    method="GET",
    path=_PATH,
    scope="account",
    summary="Read the account",
    answers=[Answer(status=200, description="The account.", content=AccountOut, example=_SHOWN)],
)

_CHANGE = Operation(
    name="change_account",
    subject="Account",
    method="PATCH",
    path=_PATH,
    scope="account",
    audit="account.changed",
    summary="Change the account",
    description="What is sent changes, and what is left out stays (RFC 7396). allowed_hosts and state are the "
    "operator's to change: they protect the account from whoever gets hold of its key.",
    body=MergePatchBody(AccountPatch, 256 * KIB, example={"name": "Larkspur & Sons"}),
    answers=[Answer(status=200, description="The account as it is now.", content=AccountOut, example=_SHOWN)],
)


class AccountApi:
    """``/v1/account``."""

    def __init__(self, accounts: Accounts, options: AccountOptions, stops: StopList) -> None:
        self._accounts = accounts
        self._options = options
        self._stops = stops

    def endpoints(self) -> list[Endpoint]:
        """Its part of the table."""
        return [Endpoint(_READ, self.read), Endpoint(_CHANGE, self.change)]

    async def read(self, call: Call[None, None]) -> Response:
        """The account."""
        return await self._answer(call.account)

    async def change(self, call: Call[None, AccountPatch]) -> Response:
        """200 with the account as it is now."""
        name = call.body.name
        if name is not UNSET:
            if flaw := label_flaw(name):
                raise invalid("#/name", flaw)
            await self._accounts.rename(call.account.id, name, call.entry)
        return await self._answer(call.account)

    async def _answer(self, account: Account) -> Response:
        found = await self._options.find(account.id)
        if found is None:
            raise Problem("not-found", "This account has just been deleted.")
        return json_answer(self._shown(found))

    def _shown(self, found: AccountShown) -> AccountOut:
        blocked = self._stops.now.stops_account(found.id)
        return AccountOut(
            id=written(found.id),
            name=found.name,
            created_at=written_time(found.created_at),
            state="blocked" if blocked else "limited" if found.limited else "active",
            allowed_hosts=found.allowed_hosts,
        )
