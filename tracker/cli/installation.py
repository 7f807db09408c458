"""The installation itself: its schema and its settings."""

import asyncio
from dataclasses import asdict, fields

import click

from ..settings import Settings, from_environment, names
from ..storage.installation import without_password
from .errors import EXPECTED
from .opening import existing, prepared
from .output import json_option, show, table


@click.command()
@json_option
def migrate(as_json: bool) -> None:
    """Bring the database to this release. "serve" does so by itself."""
    settings = from_environment()
    place, done = asyncio.run(prepared(settings))
    listed = "".join(f"\n  {name}" for name in done.applied)
    sentence = f"Applied to {place.name}:{listed}" if done.applied else f"{place.name} is up to date."
    show({"database": place.name, "applied": done.applied}, sentence, as_json=as_json)


@click.command(short_help="Show the settings, and whether all can be served.")
@json_option
def check(as_json: bool) -> None:
    """Show the settings that hold, without secrets, and whether the installation can be served.

    Creates nothing: "serve" and "account create" do. The status is 1 where there is nothing to serve yet.
    """
    settings = from_environment()
    shown = _without_secrets(settings)
    listed = table(("SETTING", "VALUE"), list(zip(names(), map(_written, shown.values()), strict=True)))
    try:
        place, done = asyncio.run(existing(settings))
    except EXPECTED as error:
        unknown: dict[str, object] = {"signing_keys": [], "signing_key": None, "ok": False, "problem": str(error)}
        show({"settings": shown, **unknown}, listed, as_json=as_json)
        raise
    numbers = sorted(done.keyring.fingerprints())
    sentence = (
        f"{' and '.join(place.parts)} can be served; signing keys: {', '.join(map(str, numbers))}."
        f" Key {done.keyring.signing} signs."
    )
    found = {"signing_keys": numbers, "signing_key": done.keyring.signing, "ok": True, "problem": None}
    show({"settings": shown, **found}, f"{listed}\n\n{sentence}", as_json=as_json)


def _written(value: object) -> str:
    return "-" if value in (None, "") else str(value)


def _without_secrets(settings: Settings) -> dict[str, object]:
    secret = {option.name for option in fields(Settings) if option.metadata["secret"]}
    shown = {name: "(set)" if name in secret and value else value for name, value in asdict(settings).items()}
    return {**shown, "database_url": without_password(settings.database_url)}
