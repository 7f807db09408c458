"""Where the parts are put together: what serves, and what works behind it."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from .domain.keys import Keyring
from .domain.links import Links
from .domain.meters import Rate
from .settings import Settings, times_and_seconds
from .storage.account_options import AccountOptions
from .storage.accounts import Accounts
from .storage.api_keys import ApiKeys
from .storage.audit import AuditTrail, OldEntries
from .storage.blocks import Blocks
from .storage.campaigns import Campaigns
from .storage.database import Database, Unavailable, reason
from .storage.erasures import Erasures
from .storage.events import Events
from .storage.fingerprints import Fingerprints
from .storage.installation import Files
from .storage.journal import Journal
from .storage.keyfile import secrets_of
from .storage.messages import Messages
from .storage.opt_outs import OptOuts
from .storage.projections import Projections
from .storage.receipts import Receipts
from .storage.shared import PROJECTOR, Place, SharedDatabase, place_of
from .storage.shared_journal import journal_of
from .storage.suppression_changes import SuppressionChanges
from .storage.suppression_imports import SuppressionImports
from .storage.suppression_rows import SuppressionRows
from .storage.suppressions import Suppressions
from .storage.topics import Topics
from .web.account import AccountApi
from .web.api import Api
from .web.audit import AuditApi
from .web.auth import Guard
from .web.batches import BatchApi
from .web.bulk import Bulk
from .web.campaigns import CampaignsApi
from .web.cursors import Cursors
from .web.documents import Documents
from .web.events import EventsApi
from .web.health import Health
from .web.idempotency import Idempotency
from .web.keys import KeysApi
from .web.link_key import LinkKeyApi
from .web.measures import Measures, Parts
from .web.messages import MessagesApi
from .web.metrics import Metrics
from .web.operations import Endpoint
from .web.pages import Pages
from .web.persons import Persons
from .web.preferences import Preferences
from .web.problem_pages import ProblemPages
from .web.problems import Problem
from .web.quotas import Quotas
from .web.requests import Requests
from .web.senders import Senders
from .web.sent import SentApi
from .web.site import SafeHeaders, Site
from .web.strangers import Strangers
from .web.suppression_exports import SuppressionExportsApi
from .web.suppression_imports import SuppressionImportsApi
from .web.suppression_lifts import SuppressionLiftsApi
from .web.suppression_rows import SuppressionRowsApi
from .web.suppressions import SuppressionsApi
from .web.tallies import Tally
from .web.topics import TopicsApi
from .web.tracking import Tracking
from .web.unsubscribe import Unsubscribe
from .workers.backlog import Backlog
from .workers.directory import Directory
from .workers.disk import Disk
from .workers.election import Election
from .workers.eraser import Eraser
from .workers.expiry import Expiry
from .workers.inspection import Inspection
from .workers.keys import KeyFileReader
from .workers.preparation import Preparation
from .workers.projector import Projector
from .workers.pulse import Pulse
from .workers.stops import StopList
from .workers.supervisor import Supervisor
from .workers.writer import EventWriter

log = logging.getLogger(__name__)


class App:
    """The serving process as an ASGI application."""

    def __init__(
        self, asgi: ASGIApp, router: Any, health: Health, supervisor: Supervisor, tally: Tally, end: "_End"
    ) -> None:
        self._asgi = asgi
        self._end = end
        self._health = health
        self._supervisor = supervisor
        self.router = router
        self.connected = tally.connections
        """Counted by whoever serves it."""

    @property
    def gave_up(self) -> bool:
        """Whether it ended itself, for something that no waiting repairs and that was found after the start."""
        return self._end.given_up

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        return self._asgi(scope, receive, send)

    def drain(self) -> None:
        """Say on ``/readyz`` that this process wants no more traffic, and start no worker again."""
        self._health.draining = True
        self._supervisor.drain()


class _End:
    """Ends this process as an operator would, and remembers that."""

    given_up = False

    def give_up(self) -> None:
        self.given_up = True
        signal.raise_signal(signal.SIGTERM)


class _Served(NamedTuple):
    """What the handlers of the serving process stand on."""

    place: Place
    main: Database
    inbox: Database
    journal: Journal
    accounts: Accounts
    projections: Projections
    writer: EventWriter
    backlog: Backlog
    directory: Directory
    stops: StopList
    pulse: Pulse
    keys: KeyFileReader | None
    disk: Disk
    tally: Tally
    idempotency: Idempotency
    expiry: Expiry
    inspection: Inspection


def create_app(settings: Settings, keyring: Keyring) -> App:
    """Build every part of the serving process, without touching network or disk."""
    place, end = place_of(settings.database_url), _End()
    served = _served(settings, place, keyring)
    supervisor = Supervisor(_WORKER, {**os.environ, **worker_environment(settings)})
    working: Sequence[_Part] = (supervisor,) if settings.worker == "process" else ()
    if settings.worker == "inline":
        working = _elected(served.main, place)
    preparing = _preparation(settings, place, end)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            try:
                await _start(stack, served, preparing, working)
            except Exception as error:
                log.critical("the server cannot start: %s", reason(error))
                raise
            yield

    return _web(settings, keyring, served, supervisor, end, lifespan)


_Part = AbstractAsyncContextManager[Any]


async def _start(stack: AsyncExitStack, served: _Served, preparing: Sequence[_Part], working: Sequence[_Part]) -> None:
    for part in (served.main, served.inbox, *preparing):
        await stack.enter_async_context(part)
    if not served.main.whole:
        await served.journal.open(above=await served.projections.mark())
    # Closed in the opposite order: requests have ended, the writer drains, the worker finishes its slice.
    keys = (served.keys,) if served.keys is not None else ()
    rereading = (*keys, served.directory, served.stops, served.pulse, served.inspection)
    for one in (*working, *rereading, served.expiry, served.backlog, served.writer):
        await stack.enter_async_context(one)


@asynccontextmanager
async def create_worker(settings: Settings) -> AsyncIterator[None]:
    """What the worker process does, for as long as it is entered."""
    place = place_of(settings.database_url)
    database = place.main_database(checked=False) if isinstance(place, SharedDatabase) else place.main_database()
    async with database, AsyncExitStack() as stack:
        for part in _elected(database, place):
            await stack.enter_async_context(part)
        yield


def worker_environment(settings: Settings) -> dict[str, str]:
    """What the worker's own settings must agree in with the server's."""
    return {
        "TRACKER_DATABASE_URL": settings.database_url,
        "TRACKER_LOG_LEVEL": settings.log_level,
        "TRACKER_LOG_FORMAT": settings.log_format,
    }


_WORKER = (sys.executable, "-m", "tracker", "worker")


def _served(settings: Settings, place: Place, keyring: Keyring) -> _Served:
    main, inbox = place.main_database(), place.inbox_database()
    journal, accounts, projections = journal_of(inbox), Accounts(main), Projections(main)
    writer = EventWriter(journal.append, journal.beat, most_waiting=settings.queue_limit)
    backlog = Backlog(journal, projections, writer.hold, ceiling=settings.journal_ceiling)
    directory, stops = Directory(accounts), StopList(Blocks(main))
    inbox_receipts = Receipts(inbox, journal.write)
    # Of one database for both parts, the one worker forgets what is old.
    expiring = () if main.whole else (inbox_receipts, OldEntries(inbox, journal.write, inbox=True))
    inspected = {place.name: main} if main.whole else dict(zip(place.parts, (main, inbox), strict=True))
    return _Served(
        place=place,
        main=main,
        inbox=inbox,
        journal=journal,
        accounts=accounts,
        projections=projections,
        writer=writer,
        backlog=backlog,
        directory=directory,
        stops=stops,
        pulse=Pulse(journal, projections),
        keys=_key_file_reader(settings, place, keyring, main),
        disk=Disk(place.data),
        tally=Tally(),
        idempotency=Idempotency({"main": Receipts(main, main.write), "inbox": inbox_receipts}),
        expiry=Expiry(*expiring),
        inspection=Inspection(inspected, accounts),
    )


def _elected(database: Database, place: Place) -> Sequence[_Part]:
    """What is at work on the main database; of several servers' workers one alone."""
    if isinstance(place, SharedDatabase):
        return (Election(lambda: place.alone(PROJECTOR), lambda: _working(database)),)
    return _working(database)


def _working(database: Database) -> Sequence[_Part]:
    """The projector, and what else there is; those that give sequence numbers take turns."""
    turns = asyncio.Lock()
    projector = Projector(journal_of(database), Messages(database), Projections(database), turns=turns)
    parts = (False, True) if database.whole else (False,)
    entries = (OldEntries(database, database.write, inbox=inbox) for inbox in parts)
    return projector, Eraser(Erasures(database), turns), Expiry(Receipts(database, database.write), *entries)


def _preparation(settings: Settings, place: Place, end: _End) -> Sequence[_Part]:
    """What waits for a server that is away at the start; files are prepared before."""
    if not isinstance(place, SharedDatabase):
        return ()
    return (Preparation(lambda: place.prepare(secrets_of(settings.secret_keys), settings.signing_key), end.give_up),)


def _key_file_reader(settings: Settings, place: Place, keyring: Keyring, database: Database) -> KeyFileReader | None:
    """The one that keeps the ring as its file says; none when the environment gives the keys, which cannot change."""
    if settings.secret_keys is not None or not isinstance(place, Files):
        return None
    return KeyFileReader(keyring, place.keys, Fingerprints(database), signing=settings.signing_key)


def _web(
    settings: Settings, keyring: Keyring, served: _Served, supervisor: Supervisor, end: _End, lifespan: Any
) -> App:
    links, pages = Links(keyring), Pages(settings.abuse_contact)
    strangers = Strangers(Rate(*times_and_seconds(settings.failure_rate)), pages)
    persons = _persons(served, links, strangers, pages)
    table = _table(settings, served, links, Cursors(keyring))
    site = Site(pages, settings.base_url)
    worker_alive = supervisor.alive if settings.worker == "process" else _assumed
    health = Health(served.writer, served.backlog, served.pulse, served.inspection, worker_alive)
    subjects = (
        Unsubscribe(persons),
        Preferences(persons),
        _api(settings, served, strangers, table),
        Documents([endpoint.operation for endpoint in table], settings.base_url),
        health,
        _metrics(settings, keyring, served, supervisor),
        ProblemPages(pages),
        site,
    )
    starlette = _starlette([route for subject in subjects for route in subject.routes()], site, lifespan)
    requests = Requests(SafeHeaders(starlette), served.tally)
    front = Tracking(requests, links, served.writer, served.stops, strangers, pages, served.tally)
    return App(front, starlette.router, health, supervisor, served.tally, end)


def _persons(served: _Served, links: Links, strangers: Strangers, pages: Pages) -> Persons:
    return Persons(
        links=links,
        writer=served.writer,
        directory=served.directory,
        messages=Messages(served.main),
        opt_outs=OptOuts(served.inbox),
        strangers=strangers,
        pages=pages,
        tally=served.tally,
    )


def _table(settings: Settings, served: _Served, links: Links, cursors: Cursors) -> list[Endpoint]:
    """The routes of the customer's API."""
    messages, events, suppressions = Messages(served.main), Events(served.main), Suppressions(served.inbox)
    senders = Senders(messages, served.stops, limited_messages=settings.limited_messages)
    rows, base_url = SuppressionRows(served.main, served.journal.write), settings.base_url
    answering = (
        MessagesApi(senders, messages, suppressions, events, served.backlog, links, cursors, base_url),
        BatchApi(senders, messages, suppressions, links, base_url),
        SentApi(messages),
        LinkKeyApi(senders, links, base_url),
        EventsApi(events, served.backlog, cursors, base_url),
        CampaignsApi(Campaigns(served.main)),
        TopicsApi(Topics(served.main), cursors, base_url),
        AccountApi(served.accounts, AccountOptions(served.main), served.stops),
        KeysApi(ApiKeys(served.main), cursors, base_url),
        AuditApi(AuditTrail(served.main), cursors, base_url),
        SuppressionsApi(suppressions, served.tally),
        SuppressionRowsApi(rows, SuppressionChanges(served.main), cursors, base_url),
        SuppressionImportsApi(SuppressionImports(served.inbox, served.journal.write)),
        SuppressionExportsApi(rows),
        SuppressionLiftsApi(rows, served.writer, served.tally, allowed=settings.lift == "yes"),
    )
    return [endpoint for subject in answering for endpoint in subject.endpoints()]


def _api(settings: Settings, served: _Served, strangers: Strangers, table: Sequence[Endpoint]) -> Api:
    guard = Guard(ApiKeys(served.main), served.directory, strangers)
    quotas = Quotas(*(Rate(*times_and_seconds(rate)) for rate in (settings.key_rate, settings.account_rate)))
    return Api(guard, quotas, Bulk(), served.idempotency, AuditTrail(served.main), table)


def _starlette(routes: Sequence[BaseRoute], site: Site, lifespan: Any) -> Starlette:
    on_errors: dict[Any, Any] = {
        Problem: site.on_problem,
        Unavailable: site.on_unavailable,
        HTTPException: site.on_http_error,
        Exception: site.on_failure,
    }
    starlette = Starlette(routes=routes, exception_handlers=on_errors, lifespan=lifespan)
    # A redirect of slashes would be one of POSTs too, which RFC 8058 forbids.
    starlette.router.redirect_slashes = False
    return starlette


def _metrics(settings: Settings, keyring: Keyring, served: _Served, supervisor: Supervisor) -> Metrics:
    parts = Parts(
        writer=served.writer,
        journal=served.journal,
        backlog=served.backlog,
        pulse=served.pulse,
        directory=served.directory,
        stops=served.stops,
        keyring=keyring,
        keys=served.keys,
        supervisor=supervisor if settings.worker == "process" else None,
        disk=served.disk,
        inspection=served.inspection,
        tally=served.tally,
    )
    return Metrics(Measures(parts), settings.metrics_token, behind=bool(settings.proxies))


def _assumed() -> bool:
    """A worker in the serving process lives as long as that; of one elsewhere the lag tells."""
    return True
