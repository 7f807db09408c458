"""The installation itself: its schema and its settings."""

import asyncio
from dataclasses import asdict, fields

import click

from ..settings import Settings, from_environment
from ..storage.installation import without_password
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

    Creates nothing: "serve" and "account create" do.
    """
    settings = from_environment()
    place, done = asyncio.run(existing(settings))
    shown = _without_secrets(settings)
    lines = [(f"TRACKER_{name.upper()}", "-" if value in (None, "") else str(value)) for name, value in shown.items()]
    numbers = sorted(done.keyring.fingerprints())
    sentence = (
        f"{table(('SETTING', 'VALUE'), lines)}\n\n"
        f"{' and '.join(place.parts)} can be served; signing keys: {', '.join(map(str, numbers))}."
        f" Key {done.keyring.signing} signs."
    )
    content = {"settings": shown, "signing_keys": numbers, "signing_key": done.keyring.signing, "ok": True}
    show(content, sentence, as_json=as_json)


def _without_secrets(settings: Settings) -> dict[str, object]:
    secret = {option.name for option in fields(Settings) if option.metadata["secret"]}
    shown = {name: "(set)" if name in secret and value else value for name, value in asdict(settings).items()}
    return {**shown, "database_url": without_password(settings.database_url)}
