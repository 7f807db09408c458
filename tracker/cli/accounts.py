"""Accounts and their API keys."""

import asyncio
from collections.abc import Sequence

import click
import msgspec

from ..domain.ids import BadId, parse_account_id
from ..domain.times import written_time
from ..settings import Settings, from_environment
from ..storage.accounts import Account, Accounts
from ..storage.api_keys import SCOPES, ApiKey, ApiKeys
from ..web.names import label_flaw
from .opening import opened, prepared
from .output import json_option, show, table


@click.group(short_help="Create accounts, and say what they may do.")
def account() -> None:
    """Create accounts, each a company that sends mail, and say what they may do."""


@account.command("create")
@click.argument("name")
@json_option
def account_create(name: str, as_json: bool) -> None:
    """Create an account called NAME, and an API key of every scope.

    In an empty folder this creates the database and the signing keys too.
    """
    _check_name(name, "NAME")
    settings = from_environment()
    made, written = asyncio.run(_create(settings, name))
    identifier = made.id.hex()
    sentence = f"Created the account {name} ({identifier}).\n\nIts API key is shown this once:\n\n  {written}\n"
    if made.limited:
        sentence += (
            f"\nIt may make {settings.limited_messages:,} messages a day until you confirm it:"
            f"\n\n  tracker account confirm {identifier}\n"
        )
    show({"account": {"id": identifier, "name": name}, "api_key": written}, sentence, as_json=as_json)


async def _create(settings: Settings, name: str) -> tuple[Account, str]:
    await prepared(settings)
    async with opened(settings) as database:
        return await Accounts(database).create(name, limited=settings.new_accounts == "limited")


@click.group()
def key() -> None:
    """Create, list and revoke API keys."""


@key.command("create", short_help="Create an API key for an account.")
@click.argument("account_id", metavar="ACCOUNT")
@click.option("--name", default="unnamed", show_default=True, help="What the key is for.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    help="What it may do; repeat it.  [default: everything]",
)
@json_option
def key_create(account_id: str, name: str, scopes: tuple[str, ...], as_json: bool) -> None:
    """Create an API key for ACCOUNT, an account's id of 16 hexadecimal digits."""
    owner = read_account_id(account_id)
    _check_name(name, "--name")
    chosen = scopes or SCOPES
    identifier, written = asyncio.run(_create_key(owner, name, chosen))
    show(
        {"id": identifier, "account": account_id, "name": name, "scopes": list(chosen), "api_key": written},
        f"The API key {name} is shown this once:\n\n  {written}\n",
        as_json=as_json,
    )


async def _create_key(owner: bytes, name: str, scopes: tuple[str, ...]) -> tuple[str, str]:
    async with opened(from_environment()) as database:
        if await Accounts(database).find(owner) is None:
            raise no_account(owner)
        new = await ApiKeys(database).create(owner, name, scopes)
    return new.key.id.hex(), new.written


@key.command("list", short_help="List API keys, the revoked ones too.")
@click.option("--account", "account_id", help="Only the keys of this account.")
@json_option
def key_list(account_id: str | None, as_json: bool) -> None:
    """List API keys, the revoked ones too; their secrets are stored nowhere."""
    keys = asyncio.run(_list_keys(read_account_id(account_id) if account_id else None))
    rows = [_shown(one) for one in keys]
    heads = ("ID", "ACCOUNT", "NAME", "CREATED", "REVOKED", "SCOPES")
    lines = [
        (row.id, row.account, row.name, row.created_at, row.revoked_at or "-", " ".join(row.scopes)) for row in rows
    ]
    empty = "No API keys yet: make an account and its first key with: tracker account create NAME"
    show({"data": rows}, table(heads, lines) if lines else empty, as_json=as_json)


async def _list_keys(owner: bytes | None) -> list[ApiKey]:
    async with opened(from_environment()) as database:
        if owner is not None and await Accounts(database).find(owner) is None:
            raise no_account(owner)
        return await ApiKeys(database).all(owner)


class _KeyShown(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    account: str
    name: str
    scopes: Sequence[str]
    created_at: str
    revoked_at: str | None


def _shown(one: ApiKey) -> _KeyShown:
    return _KeyShown(
        id=one.id.hex(),
        account=one.account.hex(),
        name=one.name,
        scopes=one.scopes,
        created_at=written_time(one.created_at),
        revoked_at=written_time(one.revoked_at) if one.revoked_at is not None else None,
    )


@key.command("revoke", short_help="Revoke an API key.")
@click.argument("key_id", metavar="KEY")
@json_option
def key_revoke(key_id: str, as_json: bool) -> None:
    """Revoke the API key with the id KEY (the 16 digits after "trk_"); it opens nothing from now on."""
    if not asyncio.run(_revoke(_key_id(key_id))):
        raise click.ClickException(f"there is no API key {key_id} that is not revoked: see tracker key list")
    show({"id": key_id, "revoked": True}, f"Revoked the API key {key_id}.", as_json=as_json)


async def _revoke(identifier: bytes) -> bool:
    async with opened(from_environment()) as database:
        return await ApiKeys(database).revoke(identifier)


def _check_name(name: str, parameter: str) -> None:
    if flaw := label_flaw(name):
        raise click.BadParameter(flaw, param_hint=parameter)


def read_account_id(text: str) -> bytes:
    """An account's id as an argument. Raises ``BadParameter``."""
    try:
        return parse_account_id(text)
    except BadId as error:
        raise click.BadParameter(str(error), param_hint="ACCOUNT") from None


def no_account(account: bytes) -> click.ClickException:
    """What is said of an account that is not there."""
    advice = "tracker account list shows them, tracker account create NAME makes one"
    return click.ClickException(f"there is no account {account.hex()}: {advice}")


def _key_id(text: str) -> bytes:
    try:
        return parse_account_id(text)
    except BadId:
        raise click.BadParameter("not a key's id: it has 16 hexadecimal digits", param_hint="KEY") from None
