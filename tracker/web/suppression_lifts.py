"""Lifting an opt-out: a person who left has come back, and the customer can prove it."""

import time
from typing import Annotated

import msgspec
from starlette.responses import Response

from ..domain.events import Consent, EventType, Hit, Method, Undo
from ..domain.ids import parse_id
from ..domain.suppressions import Suppression, may_lift
from ..domain.times import BadTime, Time, parse_time, written_time
from ..storage.accounts import Account
from ..storage.suppression_rows import SuppressionRows
from ..workers.writer import EventWriter
from .bodies import KIB, JsonBody
from .fields import text
from .names import text_flaw
from .operations import Answer, Call, Endpoint, Operation
from .problems import Flaw, Problem, flawed
from .suppression_questions import SUPPRESSION_ID
from .tallies import Tally

_LONGEST_METHOD = 100
_LONGEST_EVIDENCE = 2_000


class LiftIn(msgspec.Struct, forbid_unknown_fields=True):
    """A consent that a person gave."""

    consented_at: Time
    method: Annotated[
        str, text("By what way it was given, such as “sign-up form”.", shortest=1, longest=_LONGEST_METHOD)
    ]
    evidence: Annotated[str, text("Where its proof is.", shortest=1, longest=_LONGEST_EVIDENCE)]


_LIFT = Operation(
    name="lift_suppression",
    subject="Suppressions",
    method="POST",
    path="/v1/suppressions/{id:uuid}/lift",
    scope="suppressions:write",
    effect="inbox",
    audit="suppression.lifted",
    summary="Lift an opt-out",
    description="For somebody who left and has signed up again: a person's own opt-out gives way to a consent younger "
    "than it. An event “resubscribed” is recorded, and the consent is kept as its proof.",
    path_parameters=[SUPPRESSION_ID],
    body=JsonBody(
        LiftIn,
        256 * KIB,
        example={
            "consented_at": "2026-11-22T10:00:00Z",
            "method": "sign-up form",
            "evidence": "form 17, confirmed by mail",
        },
    ),
    answers=[Answer(status=204, description="The opt-out is gone.")],
    problems=["not-found", "lift-forbidden", "consent-too-old", "not-an-opt-out", "opt-out-is-final"],
)


class SuppressionLiftsApi:
    """``POST /v1/suppressions/{id}/lift``; ``allowed`` is what the operator says."""

    def __init__(self, rows: SuppressionRows, writer: EventWriter, tally: Tally, *, allowed: bool) -> None:
        self._rows = rows
        self._writer = writer
        self._tally = tally
        self._allowed = allowed

    def endpoints(self) -> list[Endpoint]:
        """Its part of the table."""
        return [Endpoint(_LIFT, self.lift, permit=self._permit)]

    async def lift(self, call: Call[None, LiftIn]) -> Response:
        """204 once the opt-out is gone, its event recorded and the consent kept in its place."""
        if call.once.repeated:
            return Response(status_code=204)
        now = time.time_ns() // 1_000_000
        consent = _consent(call.body, now)
        row = await self._find(call.account, call.path["id"].bytes, consent)
        undo = _undo(call.account.id, row, consent, now)
        await self._writer.record(msgspec.structs.replace(undo, receipt=call.once.receipt(), audit=call.entry(row.id)))
        said_again = await self._rows.last_said(call.account.id, call.path["id"].bytes)
        if said_again is not None:
            _refuse(row, said_again, consent)
        self._tally.lifted += 1
        return Response(status_code=204)

    async def _find(self, account: Account, suppression: bytes, consent: Consent) -> Suppression:
        """The row, if this consent lifts it. Raises ``Problem``."""
        row = await self._rows.find(account.id, suppression)
        said_at = await self._rows.last_said(account.id, suppression)
        if row is None or said_at is None:
            raise Problem("not-found", "There is no such suppression.")
        _refuse(row, said_at, consent)
        return row

    def _permit(self, _: Account) -> None:
        if not self._allowed:
            raise Problem("lift-forbidden", "The operator has switched lifting off (TRACKER_LIFT).")


def _refuse(row: Suppression, said_at: int, consent: Consent) -> None:
    """Raises ``Problem`` 409 where this consent does not lift this row, which was last asked for at ``said_at``."""
    if row.reason == "complained":
        raise Problem("opt-out-is-final", "A complaint is never lifted.")
    if not may_lift(row):
        raise Problem("not-an-opt-out", "You gave this suppression yourself: delete it instead.")
    # An opt-out of the same moment stands.
    if consent.consented_at <= said_at:
        raise Problem("consent-too-old", f"This person opted out at {written_time(said_at)}, not before the consent.")


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
        # One that was imported has no message here, and its event none either: no message has the row's own id.
        message=parse_id(row.message_id or row.id),
        occurred_at=now,
        method=Method.LIFT,
    )
    return Undo(hit=hit, suppression=parse_id(row.id), consent=consent)
