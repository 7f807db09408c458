"""Lifting an opt-out: a person who left has come back, and the customer can prove it."""

import time

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..domain.events import Consent, EventType, Hit, Method, Undo
from ..domain.ids import parse_id
from ..domain.suppressions import Suppression, may_lift
from ..domain.times import BadTime, parse_time, written_time
from ..storage.suppression_rows import SuppressionRows
from ..workers.writer import EventWriter
from .auth import Guard
from .bodies import KIB, read_json
from .names import text_flaw
from .parameters import single_parameters
from .problems import Flaw, Problem, flawed

_LONGEST_METHOD = 100
_LONGEST_EVIDENCE = 2_000


class LiftIn(msgspec.Struct, forbid_unknown_fields=True):
    """A consent: when it was given, by what way (such as ``sign-up form``), and where its proof is."""

    consented_at: str
    method: str
    evidence: str


class SuppressionLiftsApi:
    """``POST /v1/suppressions/{id}/lift``; ``allowed`` is what the operator says."""

    def __init__(self, guard: Guard, rows: SuppressionRows, writer: EventWriter, *, allowed: bool) -> None:
        self._guard = guard
        self._rows = rows
        self._writer = writer
        self._allowed = allowed

    def routes(self) -> list[Route]:
        """Its routes."""
        return [Route("/v1/suppressions/{id:uuid}/lift", self.lift, methods=["POST"])]

    async def lift(self, request: Request) -> Response:
        """204 once the opt-out is gone, its event recorded and the consent kept in its place."""
        account = await self._guard.admit(request, "suppressions:write")
        single_parameters(request.query_params)
        if not self._allowed:
            raise Problem("lift-forbidden", "The operator has switched lifting off (TRACKER_LIFT).")
        now = time.time_ns() // 1_000_000
        consent = _consent(await read_json(request, LiftIn, 256 * KIB), now)
        row = await self._rows.find(account.id, request.path_params["id"].bytes)
        if row is None:
            raise Problem("not-found", "There is no such suppression.")
        _refuse(row, consent)
        await self._writer.record(_undo(account.id, row, consent, now))
        return Response(status_code=204)


def _refuse(row: Suppression, consent: Consent) -> None:
    """Raises ``Problem`` 409 where this consent does not lift this row."""
    if row.reason == "complained":
        raise Problem("opt-out-is-final", "A complaint is never lifted.")
    if not may_lift(row):
        raise Problem("not-an-opt-out", "You gave this suppression yourself: delete it instead.")
    # Written times are in the order of time; an opt-out of the same moment stands.
    if written_time(consent.consented_at) <= row.created_at:
        raise Problem("consent-too-old", f"This person opted out at {row.created_at}, not before the consent.")


def _consent(given: LiftIn, now: int) -> Consent:
    """Raises ``Problem`` 422."""
    flaws = []
    for name, longest in (("method", _LONGEST_METHOD), ("evidence", _LONGEST_EVIDENCE)):
        text = getattr(given, name)
        flaw = text_flaw(text, longest=longest) if text.strip() else "must not be empty"
        if flaw:
            flaws.append(Flaw(f"#/{name}", flaw))
    try:
        consented_at = parse_time(given.consented_at)
    except BadTime as error:
        raise flawed([Flaw("#/consented_at", str(error)), *flaws]) from None
    if consented_at > now:
        flaws.insert(0, Flaw("#/consented_at", "lies in the future"))
    if flaws:
        raise flawed(flaws)
    return Consent(consented_at=consented_at, method=given.method, evidence=given.evidence)


def _undo(account: bytes, row: Suppression, consent: Consent, now: int) -> Undo:
    hit = Hit(
        type=EventType.RESUBSCRIBED,
        account=account,
        message=parse_id(row.message_id or ""),
        occurred_at=now,
        method=Method.LIFT,
    )
    return Undo(hit=hit, suppression=parse_id(row.id), consent=consent)
