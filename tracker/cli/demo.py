"""The demo: a server of its own, and a newsletter that is sent and read while one watches."""

import asyncio
import io
import shlex
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from ..demo.newsletter import BadNewsletter, Newsletter, read_newsletter
from ..demo.steps import Outcome
from ..demo.story import Story
from ..demo.wire import Wire, connect, until_ready
from ..settings import Settings
from .child import DATABASE, LOG, Server, serving
from .listener import listening
from .output import json_option, show
from .screen import Screen, blank_screen, screen_of_terminal

_MAIL = "mail-to-ada.html"


@click.command(short_help="Send a newsletter to four readers, and watch.")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--port", type=click.IntRange(0, 65_535), default=8000, show_default=True, help="0 takes a free one.")
@click.option("--keep", metavar="DIR", type=click.Path(path_type=Path), help="Work in this new folder, and leave it.")
@click.option("--once", is_flag=True, help="End after the story: with status 0 if each step had its result.")
@json_option
def demo(file: Path | None, port: int, keep: Path | None, once: bool, as_json: bool) -> None:
    """Send a newsletter to four readers, and watch what becomes of it.

    FILE is a newsletter of yours: a page of HTML (.html) or a whole mail (.eml). A server is started in a
    temporary folder, and goes on after the story until Ctrl-C. No mail is sent, and no other host is asked.
    """
    try:
        newsletter = read_newsletter(file)
    except BadNewsletter as error:
        raise click.ClickException(str(error)) from None
    # A terminal that cannot show a character must not end the story.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    performance = _Performance(
        newsletter=newsletter,
        screen=blank_screen() if as_json else screen_of_terminal(),
        keep=keep,
        once=once,
        as_json=as_json,
    )
    with listening(Settings(port=port)) as listener:
        good = asyncio.run(performance.run(listener))
    sys.exit(0 if good else 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """The story, and what one needs to go on where it ended."""

    outcome: Outcome
    address: str
    api_key: str
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class _Performance:
    """The story on a server that lives as long as it, or until a signal."""

    newsletter: Newsletter
    screen: Screen
    keep: Path | None
    once: bool
    as_json: bool

    async def run(self, listener: socket.socket) -> bool:
        """Whether no step failed; with ``once``, also that none was left out."""
        stop = _stop_at_signals()
        with _folder(self.keep) as folder:
            async with serving(listener, folder) as server:
                told = await server.outliving(self._tell(server, folder), stop)
                if told is not None:
                    self._conclude(told)
                    if not self.once:
                        await server.outliving(asyncio.Event().wait(), stop)
            if stop.is_set():
                self.screen.line("Stopped." if told else "Stopped before the end of the story.")
            if self.keep is not None:
                _show_what_is_kept(server.address, folder, self.screen)
        return not told.outcome.failed if told else not self.once

    async def _tell(self, server: Server, folder: Path) -> _Told:
        self._introduce(server.address, folder)
        async with connect(server.address) as client:
            await server.starting(until_ready(client))
            api_key = await server.create_account(self.newsletter.sender)
            outcome = await Story(Wire(client), self.newsletter, api_key, self.screen.step).play()
        if outcome.mail:
            # The mark at the beginning of the file counts for more than the charset a newsletter names.
            (folder / _MAIL).write_text(outcome.mail.html, "utf-8-sig")
        return _Told(outcome=outcome, address=server.address, api_key=api_key, folder=folder)

    def _introduce(self, address: str, folder: Path) -> None:
        newsletter, screen = self.newsletter, self.screen
        screen.heading("What becomes of a newsletter")
        screen.facts(
            [
                ("newsletter", f"{newsletter.source}: {len(newsletter.html):,} characters of HTML"),
                ("from", newsletter.sender),
                ("server", f"{address}, in {folder}"),
            ]
        )
        screen.line()

    def _conclude(self, told: _Told) -> None:
        if self.as_json:
            show(_as_data(told), "", as_json=True)
            return
        failed, screen = told.outcome.failed, self.screen
        if failed:
            screen.heading(f"{len(failed)} of {len(told.outcome.steps)} steps did not have the result they claim:")
            screen.facts([(str(step.number), step.claim) for step in failed])
        else:
            screen.heading(f"All {len(told.outcome.steps)} steps had the result they claim.")
        if not self.once:
            _show_what_to_try(told, screen)


def _stop_at_signals() -> asyncio.Event:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    return stop


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """Where server and story leave their files: one that is gone afterwards, or the one to keep."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="tracker-demo-", ignore_cleanup_errors=True) as folder:
            yield Path(folder)
        return
    try:
        keep.mkdir(parents=True, exist_ok=True)
        empty = not any(keep.iterdir())
    except OSError as error:
        raise click.ClickException(f"cannot keep the demo in {keep}: {error.strerror}") from None
    if not empty:
        raise click.ClickException(f"{keep} is not empty: name a new folder after --keep, or an empty one")
    yield keep.resolve()


def _show_what_to_try(told: _Told, screen: Screen) -> None:
    mail, authorization = told.outcome.mail, shlex.quote(f"Authorization: Bearer {told.api_key}")
    following = len(told.outcome.events)
    screen.line()
    screen.heading("The server goes on until Ctrl-C")
    screen.facts([("address", told.address), ("API key", told.api_key)])
    if mail:
        screen.line()
        screen.heading("Be Ada: open these in a browser")
        link = [("her link", told.outcome.link)] if told.outcome.link else []
        screen.facts(
            [
                ("her mail", (told.folder / _MAIL).as_uri()),
                ("its picture", mail.open_url),
                *link,
                ("her way out", mail.unsubscribe_url),
            ]
        )
    screen.line()
    screen.heading("See what came of it")
    screen.line(f"  curl -H {authorization} '{told.address}/v1/events/feed?after={following}'")


def _as_data(told: _Told) -> dict[str, Any]:
    outcome, mail = told.outcome, told.outcome.mail
    return {
        "ok": not outcome.failed,
        "address": told.address,
        "api_key": told.api_key,
        "steps": [
            {
                "number": step.number,
                "claim": step.claim,
                "ok": step.good,
                "flaw": step.flaw,
                "exchanges": step.exchanges,
            }
            for step in outcome.steps
        ],
        "links": mail.links if mail else [],
        "events": outcome.events,
        "suppressions": outcome.suppressions,
        "try": {
            "open_url": mail.open_url if mail else None,
            "click_url": outcome.link,
            "unsubscribe_url": mail.unsubscribe_url if mail else None,
        },
    }


def _show_what_is_kept(address: str, folder: Path, screen: Screen) -> None:
    screen.line()
    screen.heading(f"Kept in {folder}")
    screen.facts(
        [
            (DATABASE, f"the database; with it {DATABASE}.inbox, and the signing keys in {DATABASE}.keys"),
            (LOG, "what the server had to say"),
            *([(_MAIL, "the newsletter as Ada got it")] if (folder / _MAIL).exists() else []),
        ]
    )
    screen.line()
    screen.heading("Serve it again")
    screen.line(f"  {_serve_command(address, folder)}")


def _serve_command(address: str, folder: Path) -> str:
    program = [sys.executable, "-m", "tracker"] if sys.argv[0].endswith(".py") else [sys.argv[0]]
    database_url, port = shlex.quote(f"sqlite:///{folder / DATABASE}"), address.rpartition(":")[2]
    settings = f"TRACKER_DATABASE_URL={database_url} TRACKER_BASE_URL={address}"
    return f"{settings} {shlex.join([*program, 'serve', '--port', port])}"
