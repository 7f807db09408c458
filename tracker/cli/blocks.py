"""The stop for abuse: what is blocked, and how long already."""

import asyncio
import re
from typing import NamedTuple

import click
import msgspec

from ..domain.blocks import BadBlock, Kind, block_value
from ..domain.ids import BadId, parse_id, written
from ..domain.keys import Keyring
from ..domain.links import BadToken, Links
from ..domain.times import written_time
from ..settings import Settings, from_environment
from ..storage.accounts import Accounts
from ..storage.blocks import Block, Blocks
from .accounts import no_account
from .opening import existing, opened
from .output import json_option, show, table

_LONGEST_REASON = 500
_KINDS = tuple(kind.value for kind in Kind)

# Whatever the host: this shell may have another base URL than the server, and links may stand on more than one.
_TRACKED = re.compile(r"(?i:https?)://[^/?#]+/c/([^/?#]+)")

_WHAT = {
    Kind.URL: "the URL {}",
    Kind.HOST: "the host {} with everything under it",
    Kind.ACCOUNT: "the account {}",
}


class _Shown(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    kind: str
    value: str
    reason: str
    since: str


class _Blocked(_Shown, frozen=True, kw_only=True):
    changed: bool
    made_by: str | None


class _Named(NamedTuple):
    """What a command is about; ``made_by`` is the account of the tracked link it was named by."""

    value: str
    made_by: str | None = None


@click.command(short_help="Block a URL, a host or an account for abuse.")
@click.argument("kind", type=click.Choice(_KINDS), metavar="url|host|account")
@click.argument("value")
@click.option("--reason", required=True, help="Why, for those who read the list later; no recipient sees it.")
@json_option
def block(kind: str, value: str, reason: str, as_json: bool) -> None:
    """Block VALUE for abuse: whoever clicks is not led on, but told that the link is blocked. It holds within 10 s.

    \b
    url      this URL with its query, whatever follows #. A * at its end stands for
             whatever follows. A tracked link of this server is read: what it leads to
             is blocked.
    host     the host and everything under it, with any port
    account  all links of the account, which can make no more; opt-outs go on working

    What is blocked already stays as it is.
    """
    if not reason.strip() or len(reason) > _LONGEST_REASON or not reason.isprintable():
        raise click.BadParameter(f"must have 1 to {_LONGEST_REASON} printable characters", param_hint="--reason")
    settings = from_environment()
    named = asyncio.run(_named(settings, Kind(kind), value))
    stands, is_new = asyncio.run(_block(settings, Kind(kind), named.value, reason))
    shown = _shown(stands)
    what = _what(stands)
    sentence = (
        f"Blocked {what}. It holds within 10 seconds; undo it with:\n\n  tracker unblock id {shown.id}\n"
        if is_new
        else f"Nothing was changed: {what} has been blocked since {shown.since}: {shown.reason}"
    )
    if named.made_by is not None:
        sentence += f"\nThe link was made by the account {named.made_by}."
    content = _Blocked(**msgspec.structs.asdict(shown), changed=is_new, made_by=named.made_by)
    show(content, sentence, as_json=as_json)


@click.command(short_help="Take a block back.")
@click.argument("kind", type=click.Choice((*_KINDS, "id")), metavar="url|host|account|id")
@click.argument("value")
@json_option
def unblock(kind: str, value: str, as_json: bool) -> None:
    """Take the block of VALUE back, spelt as "tracker block" takes it, or the block with that id. Holds within 10 s."""
    removed = asyncio.run(_unblock(from_environment(), kind, value))
    if removed is None:
        raise click.ClickException(f"there is no such block of {value}: see tracker blocks")
    show({**msgspec.structs.asdict(_shown(removed)), "changed": True}, f"Unblocked {_what(removed)}.", as_json=as_json)


@click.command(short_help="List what is blocked.")
@json_option
def blocks(as_json: bool) -> None:
    """List what is blocked for abuse, the oldest first."""
    rows = [_shown(one) for one in asyncio.run(_all(from_environment()))]
    lines = [(row.kind, row.value, row.since, row.id, row.reason) for row in rows]
    heads = ("KIND", "VALUE", "SINCE", "ID", "REASON")
    empty = "Nothing is blocked. Stop abuse with: tracker block host evil.example --reason TEXT"
    show({"data": rows}, table(heads, lines) if lines else empty, as_json=as_json)


async def _named(settings: Settings, kind: Kind, text: str) -> _Named:
    """What is meant, in its one spelling. Raises ``BadParameter``."""
    if kind is Kind.URL and (tracked := _TRACKED.match(text.strip())):
        _, done = await existing(settings)
        if (named := _behind(done.keyring, tracked[1])) is not None:
            return named
        if text.strip().lower().startswith(f"{settings.base_url}/c/"):
            raise click.BadParameter(
                "looks like a tracked link of this server, and is damaged: copy all of it", param_hint="VALUE"
            )
    try:
        return _Named(block_value(kind, text))
    except BadBlock as error:
        raise click.BadParameter(str(error), param_hint="VALUE") from None


def _behind(keyring: Keyring, token: str) -> _Named | None:
    """What a tracked link leads to; None for a token that is none of ours."""
    # What is reported is the link in the mail, which is ours.
    try:
        link = Links(keyring).read_click(token)
        return _Named(block_value(Kind.URL, link.destination or ""), link.account.hex())
    except (BadToken, BadBlock):
        return None


async def _block(settings: Settings, kind: Kind, value: str, reason: str) -> tuple[Block, bool]:
    async with opened(settings) as database:
        if kind is Kind.ACCOUNT and await Accounts(database).find(bytes.fromhex(value)) is None:
            raise no_account(bytes.fromhex(value))
        return await Blocks(database).add(kind, value, reason)


async def _unblock(settings: Settings, kind: str, text: str) -> Block | None:
    named = None if kind == "id" else await _named(settings, Kind(kind), text)
    async with opened(settings) as database:
        all_blocks = Blocks(database)
        if named is None:
            found = await all_blocks.find_by_id(_block_id(text))
        else:
            found = await all_blocks.find(Kind(kind), named.value)
        return found if found is not None and await all_blocks.remove(found) else None


async def _all(settings: Settings) -> list[Block]:
    async with opened(settings) as database:
        return await Blocks(database).all()


def _block_id(text: str) -> bytes:
    try:
        return parse_id(text)
    except BadId as error:
        raise click.BadParameter(str(error), param_hint="VALUE") from None


def _what(one: Block) -> str:
    return _WHAT[one.kind].format(one.value)


def _shown(one: Block) -> _Shown:
    return _Shown(
        id=written(one.id), kind=one.kind.value, value=one.value, reason=one.reason, since=written_time(one.created_at)
    )
