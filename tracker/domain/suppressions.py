"""Suppressions: why somebody may not be written to, and what a customer may undo of it."""

from typing import Annotated

import msgspec
from msgspec import Meta

from .ids import Id
from .times import Time

REASONS = ("unsubscribed", "complained", "bounced", "manual")
"""The strongest first."""

SCOPES = ("account", "topic")

ORIGINS = ("recipient", "customer", "report")

PERSONAL_REASONS = ("unsubscribed", "complained")
"""What a person can have said: the reasons of origin ``recipient``."""

LONGEST_NOTE = 500
"""Characters."""

Reason = Annotated[str, Meta(description="Why not.", extra_json_schema={"enum": list(REASONS)})]
Scope = Annotated[str, Meta(description="All of the account, or one topic.", extra_json_schema={"enum": list(SCOPES)})]
Origin = Annotated[
    str,
    Meta(description="The person, you, or a report of a mailbox provider.", extra_json_schema={"enum": list(ORIGINS)}),
]


class Suppression(msgspec.Struct, frozen=True, kw_only=True):
    """One reason not to write, as customers see it, in JSON as it stands here.

    ``email`` is null where it is not known: of imported hashes, and once the person was erased.
    """

    id: Id
    email: str | None
    reason: Reason
    scope: Scope
    topic: str | None
    origin: Origin
    note: str | None
    message_id: Annotated[Id, Meta(description="The message that led to it.")] | None
    created_at: Time


def is_final(suppression: Suppression) -> bool:
    """Whether no customer may delete it: a person's own word and a complaint outlive every list."""
    return suppression.origin == "recipient" or suppression.reason == "complained"


def may_lift(suppression: Suppression) -> bool:
    """Whether a later consent can lift it: a person's own opt-out alone."""
    return suppression.origin == "recipient" and suppression.reason == "unsubscribed"
