"""Suppressions: why somebody may not be written to, and what a customer may undo of it."""

import msgspec

REASONS = ("unsubscribed", "complained", "bounced", "manual")
"""The strongest first."""

SCOPES = ("account", "topic")

ORIGINS = ("recipient", "customer", "report")


class Suppression(msgspec.Struct, frozen=True, kw_only=True):
    """One reason not to write, as customers see it, in JSON as it stands here.

    ``email`` is null where it is not known: of imported hashes, and once the person was erased.
    """

    id: str
    email: str | None
    reason: str
    scope: str
    topic: str | None
    origin: str
    note: str | None
    message_id: str | None
    created_at: str


def is_final(suppression: Suppression) -> bool:
    """Whether no customer may delete it: a person's own word and a complaint outlive every list."""
    return suppression.origin == "recipient" or suppression.reason == "complained"


def may_lift(suppression: Suppression) -> bool:
    """Whether a later consent can lift it: a person's own opt-out alone."""
    return suppression.origin == "recipient" and suppression.reason == "unsubscribed"
