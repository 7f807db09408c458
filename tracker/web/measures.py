"""What the parts count, as metrics for Prometheus: read from their attributes when somebody asks."""

import asyncio
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    SummaryMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from .. import __version__
from ..domain.events import EventType
from ..domain.keys import Keyring
from ..storage.journal import Journal
from ..workers.backlog import Backlog
from ..workers.directory import Directory
from ..workers.disk import Disk
from ..workers.inspection import Inspection
from ..workers.keys import KeyFileReader
from ..workers.pulse import Pulse
from ..workers.stops import StopList
from ..workers.supervisor import Supervisor
from ..workers.writer import EventWriter
from .tallies import CUTS, Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Whose attributes are read. There is no ``keys`` when the environment gives them, and no ``supervisor`` of a
    worker that has no process."""

    writer: EventWriter
    journal: Journal
    backlog: Backlog
    pulse: Pulse
    directory: Directory
    stops: StopList
    keyring: Keyring
    keys: KeyFileReader | None
    supervisor: Supervisor | None
    disk: Disk
    inspection: Inspection
    tally: Tally


class Measures:
    """All metrics. No label names an account, a campaign or an address."""

    def __init__(self, parts: Parts) -> None:
        self._disk = parts.disk
        subjects = (
            *(_built, _connections, _answers, _durations, _checks, _hits),
            *(_journal, _projector, _inspection, _memory, _space),
        )
        self._collectors: list[Collector] = [_Reading(families, parts) for families in subjects]
        self._collectors.append(ProcessCollector(registry=None))
        if (supervisor := parts.supervisor) is not None:
            self._collectors.append(ProcessCollector("tracker_worker", lambda: supervisor.pid or "none", registry=None))

    async def text(self) -> bytes:
        """All of them, in Prometheus's text format."""
        await self._disk.look()
        written = []
        for collector in self._collectors:
            written.append(generate_latest(collector))
            # Writing all of it takes milliseconds, and readers wait for their pixels.
            await asyncio.sleep(0)
        return b"".join(written)


class _Reading(Collector):
    def __init__(self, families: Callable[[Parts], Iterable[Metric]], parts: Parts) -> None:
        self._families = families
        self._parts = parts

    def collect(self) -> Iterable[Metric]:
        return self._families(self._parts)


def _gauge(name: str, sentence: str, value: float | None) -> Metric:
    """Without a value it is there and has no sample: nobody knows it now."""
    family = GaugeMetricFamily(f"tracker_{name}", sentence)
    if value is not None:
        family.add_metric([], value)
    return family


def _counter(name: str, sentence: str, value: float | None) -> Metric:
    family = CounterMetricFamily(f"tracker_{name}", sentence)
    if value is not None:
        family.add_metric([], value)
    return family


def _counters(name: str, sentence: str, label: str, values: Mapping[str, int], known: Iterable[str]) -> Metric:
    """Those that are ``known`` begin at 0, so that their first increase is one."""
    family = CounterMetricFamily(f"tracker_{name}", sentence, labels=[label])
    for one in sorted({*known, *values}):
        family.add_metric([one], values.get(one, 0))
    return family


def _built(_: Parts) -> Iterator[Metric]:
    build = {"version": __version__, "python": platform.python_version()}
    yield InfoMetricFamily("tracker_build", "The release of Tracker, and the Python it runs on.", build)


def _connections(parts: Parts) -> Iterator[Metric]:
    connected = parts.tally.connections
    yield _gauge("connections_open", "Connections that hold a place.", connected.open)
    yield _counter("connections_refused", "Connections that found no place, all being busy.", connected.refused)
    yield _counters("connections_cut", "Connections ended by us, by the limit they met.", "limit", connected.cut, CUTS)


def _answers(parts: Parts) -> Iterator[Metric]:
    tally = parts.tally
    answers = CounterMetricFamily(
        "tracker_http_requests",
        "Requests answered, but for opens and clicks, by route, method and class of status.",
        labels=["route", "method", "status"],
    )
    for (kind, status), count in sorted(tally.answers.items()):
        answers.add_metric([*kind, status], count)
    yield answers
    yield _gauge("http_requests_under_way", "Requests that are being answered, this one included.", tally.under_way)


def _durations(parts: Parts) -> Iterator[Metric]:
    seconds = HistogramMetricFamily(
        "tracker_http_request_seconds",
        "Seconds until such a request was answered whole.",
        labels=["route", "method"],
    )
    for kind, durations in sorted(parts.tally.durations.items()):
        seconds.add_metric([*kind], durations.up_to(), durations.sum_s)
    yield seconds


def _checks(parts: Parts) -> Iterator[Metric]:
    tally = parts.tally
    yield _counters(
        "suppressions_checked",
        "Addresses of checks, by answer.",
        "answer",
        tally.checked,
        ("allowed", "suppressed", "invalid"),
    )
    yield _counter("suppressions_lifted", "Opt-outs that customers lifted with a younger consent.", tally.lifted)


def _hits(parts: Parts) -> Iterator[Metric]:
    writer = parts.writer
    yield _counters(
        "events_recorded", "Events made durable in the journal, by type.", "type", writer.recorded, tuple(EventType)
    )
    yield _counters(
        "events_unrecorded",
        "Events that could not be made durable, by type.",
        "type",
        writer.unrecorded,
        tuple(EventType),
    )
    yield _counters(
        "bad_tokens",
        "Links that are none of ours or were damaged, by kind.",
        "kind",
        parts.tally.bad_tokens,
        ("open", "click", "unsubscribe", "preferences"),
    )
    yield _counter("clicks_blocked", "Clicks that were not led on, for abuse.", parts.tally.blocked_clicks)


def _journal(parts: Parts) -> Iterator[Metric]:
    writer = parts.writer
    commits = SummaryMetricFamily("tracker_journal_commit_seconds", "Seconds that commits of the journal took.")
    commits.add_metric([], writer.commits, writer.commit_s)
    yield commits
    yield _gauge("journal_waiting", "Events that wait for a commit to begin.", writer.waiting)
    yield _gauge("journal_retained", "Clicks kept in memory until an outage ends.", writer.retained)
    yield _gauge("journal_waiting_limit", "How many of either there may be.", writer.most_waiting)
    yield _gauge("journal_failing", "1 while the journal takes no events.", writer.failing)
    broken = writer.broken or parts.journal.broken_since is not None
    yield _gauge("journal_broken", "1 after a failed write or fsync: only a restart helps.", broken)
    yield _gauge("journal_full", "1 while hits are turned away, since the projector is too far behind.", writer.held)
    yield _gauge("journal_head", "The key of the last event in the journal.", parts.journal.head)
    yield _gauge("journal_ceiling", "How many keys the mark may be behind the head.", parts.backlog.ceiling)


def _projector(parts: Parts) -> Iterator[Metric]:
    pulse, supervisor = parts.pulse, parts.supervisor
    projected = pulse.look.projected if pulse.look is not None else None
    yield _gauge("main_down", "1 while the main database cannot be read or written.", pulse.main_down_since is not None)
    age_s = time.time() - pulse.look.at if pulse.look is not None else None
    yield _gauge("main_look_age_seconds", "Seconds since the main database was last read.", age_s)
    yield _gauge("projector_lag_seconds", "Age of the oldest event that is not projected.", pulse.lag_s)
    yield _gauge("projector_mark", "The key up to which the journal is projected.", projected and projected.mark)
    yield _counter("projector_events", "Events that customers can see.", projected and projected.events)
    yield _counter("projector_dropped", "Hits that belong to nobody.", projected and projected.dropped)
    yield _counter("projector_refused", "Hits that cannot become events.", projected and projected.refused)
    yield _gauge("worker_up", "1 while the worker runs.", supervisor is None or supervisor.alive())
    yield _counter(
        "worker_restarts", "How often the worker was started again.", supervisor.restarts if supervisor else 0
    )


def _inspection(parts: Parts) -> Iterator[Metric]:
    inspection = parts.inspection
    yield _gauge("files_damaged", "1 after an inspection found damage, until one finds none.", inspection.damaged)
    yield _counter("inspections", "How often the files were read from end to end.", inspection.inspections)


def _memory(parts: Parts) -> Iterator[Metric]:
    directory, keyring, keys = parts.directory, parts.keyring, parts.keys
    yield _gauge("accounts", "Accounts in memory.", directory.size)
    age_s = time.time() - directory.read_at
    yield _gauge("directory_age_seconds", "Seconds since the accounts were last seen to be as stored.", age_s)
    stops_s = time.time() - parts.stops.read_at
    yield _gauge("stop_list_age_seconds", "Seconds since the blocks were last seen to be as stored.", stops_s)
    yield _gauge("signing_key_number", "The number of the key that signs.", keyring.signing)
    yield _gauge("signing_keys", "Signing keys that are accepted.", len(keyring.fingerprints()))
    read_s = time.time() - keys.read_at if keys is not None else None
    yield _gauge("key_file_age_seconds", "Seconds since the key file was last read.", read_s)


def _space(parts: Parts) -> Iterator[Metric]:
    space = parts.disk.space
    answers = space is not None if parts.disk.ours else None
    yield _gauge("disk_answers", "1 when the disk said in time what follows.", answers)
    sizes = GaugeMetricFamily("tracker_file_bytes", "Sizes of the files.", labels=["file"])
    for name, size in (space.files if space is not None else {}).items():
        sizes.add_metric([name], size)
    yield sizes
    yield _gauge("disk_free_bytes", "What is free on the disk of the database.", space and space.free)
    yield _gauge("disk_bytes", "The size of that disk.", space and space.total)
