"""What accounts there are, and what each may do."""

import asyncio
from collections.abc import Sequence

import click
import msgspec

from ..domain.blocks import Kind
from ..domain.destinations import BadDestination, judge_host
from ..domain.times import written_time
from ..settings import Settings, from_environment
from ..storage.account_options import AccountOptions, AccountShown
from ..storage.blocks import Blocks
from .accounts import no_account, read_account_id
from .opening import opened
from .output import json_option, show, table

_MOST_HOSTS = 100


class _Shown(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    created_at: str
    limited: bool
    allowed_hosts: Sequence[str] | None
    blocked: bool


@click.command("list", short_help="List the accounts.")
@json_option
def account_list(as_json: bool) -> None:
    """List the accounts, the oldest first, with what each may do."""
    rows = asyncio.run(_all(from_environment()))
    heads = ("ID", "NAME", "CREATED", "LIMITED", "BLOCKED", "MAY LINK TO")
    lines = [
        (row.id, row.name, row.created_at, _yes(row.limited), _yes(row.blocked), " ".join(_hosts(row))) for row in rows
    ]
    empty = "No accounts yet: make one with: tracker account create NAME"
    show({"data": rows}, table(heads, lines) if lines else empty, as_json=as_json)


@click.command("show", short_help="Show an account.")
@click.argument("account_id", metavar="ACCOUNT")
@json_option
def account_show(account_id: str, as_json: bool) -> None:
    """Show ACCOUNT, an id of 16 hexadecimal digits, and what it may do."""
    _show(asyncio.run(_found(from_environment(), read_account_id(account_id))), as_json=as_json)


@click.command("set", short_help="Say where an account's links may lead.")
@click.argument("account_id", metavar="ACCOUNT")
@click.option("--allow-host", "hosts", metavar="HOST", multiple=True, help="The hosts it may link to; repeat it.")
@click.option("--allow-any-host", "any_host", is_flag=True, help="It may link to any host again.")
@json_option
def account_set(account_id: str, hosts: tuple[str, ...], any_host: bool, as_json: bool) -> None:
    """Say where the links of ACCOUNT may lead: to these hosts and what is under them, or anywhere.

    The hosts given replace those of before. Links to other hosts are no longer tracked in new messages, and
    clicks on those that were made before get the page that says a link is blocked.
    """
    if bool(hosts) == any_host:
        raise click.UsageError("say either --allow-host HOST, as often as you need it, or --allow-any-host")
    allowed = _judged(hosts) if hosts else None
    _show(asyncio.run(_allow(from_environment(), read_account_id(account_id), allowed)), as_json=as_json)


@click.command("confirm", short_help="Let a limited account do everything.")
@click.argument("account_id", metavar="ACCOUNT")
@json_option
def account_confirm(account_id: str, as_json: bool) -> None:
    """Let ACCOUNT make as many messages as it needs, within a second."""
    _show(asyncio.run(_limit(from_environment(), read_account_id(account_id), limited=False)), as_json=as_json)


@click.command("limit", short_help="Limit an account until it is confirmed.")
@click.argument("account_id", metavar="ACCOUNT")
@json_option
def account_limit(account_id: str, as_json: bool) -> None:
    """Let ACCOUNT make no more than TRACKER_LIMITED_MESSAGES a day, until it is confirmed; within a second.

    It gets no key to sign links by itself either.
    """
    _show(asyncio.run(_limit(from_environment(), read_account_id(account_id), limited=True)), as_json=as_json)


async def _all(settings: Settings) -> list[_Shown]:
    async with opened(settings) as database:
        blocked = {block.value for block in await Blocks(database).all() if block.kind == Kind.ACCOUNT}
        accounts = await AccountOptions(database).all()
    return [_shown(one, blocked=one.id.hex() in blocked) for one in accounts]


async def _found(settings: Settings, identifier: bytes) -> _Shown:
    async with opened(settings) as database:
        found = await AccountOptions(database).find(identifier)
        if found is None:
            raise no_account(identifier)
        block = await Blocks(database).find(Kind.ACCOUNT, identifier.hex())
    return _shown(found, blocked=block is not None)


async def _allow(settings: Settings, identifier: bytes, hosts: Sequence[str] | None) -> _Shown:
    async with opened(settings) as database:
        if not await AccountOptions(database).allow_hosts(identifier, hosts):
            raise no_account(identifier)
    return await _found(settings, identifier)


async def _limit(settings: Settings, identifier: bytes, *, limited: bool) -> _Shown:
    async with opened(settings) as database:
        if not await AccountOptions(database).limit(identifier, limited=limited):
            raise no_account(identifier)
    return await _found(settings, identifier)


def _judged(hosts: Sequence[str]) -> list[str]:
    try:
        judged = list(dict.fromkeys(judge_host(host) for host in hosts))
    except BadDestination as error:
        raise click.BadParameter(str(error), param_hint="--allow-host") from None
    if len(judged) > _MOST_HOSTS:
        raise click.BadParameter(f"at most {_MOST_HOSTS} hosts", param_hint="--allow-host")
    return judged


def _shown(one: AccountShown, *, blocked: bool) -> _Shown:
    return _Shown(
        id=one.id.hex(),
        name=one.name,
        created_at=written_time(one.created_at),
        limited=one.limited,
        allowed_hosts=one.allowed_hosts,
        blocked=blocked,
    )


def _show(found: _Shown, *, as_json: bool) -> None:
    lines = [
        ("id", found.id),
        ("name", found.name),
        ("created", found.created_at),
        ("limited", _yes(found.limited)),
        ("blocked", _yes(found.blocked)),
        *(("may link to", host) for host in _hosts(found)),
    ]
    show(found, "\n".join(f"{name:<13}{value}" for name, value in lines), as_json=as_json)


def _hosts(found: _Shown) -> Sequence[str]:
    return found.allowed_hosts if found.allowed_hosts is not None else ("any host",)


def _yes(holds: bool) -> str:
    return "yes" if holds else "no"
