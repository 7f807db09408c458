"""The audit trail: who changed something of an account, or looked into what identifies people."""

from collections.abc import Callable, Mapping

import msgspec

from .ids import event_id, time_in

KEPT_FOR_MS = 400 * 24 * 60 * 60 * 1000
"""A year, and a month to ask about it."""

LOOKS: Mapping[str, str] = {
    "audit.read": "This trail was read.",
    "events.searched": "Events were searched, as by an address.",
    "suppressions.exported": "The list of suppressions was exported.",
    "suppressions.searched": "The suppressions of an address were asked for.",
}
"""What shows whom an account writes to, a person or all of them at once."""

CHANGES: Mapping[str, str] = {
    "account.blocked": "The account was blocked for abuse.",
    "account.changed": "The account got another name.",
    "account.confirmed": "The account may make as many messages as it needs.",
    "account.created": "The account was made, with its first key.",
    "account.hosts_changed": "The links of the account may lead to other hosts than before.",
    "account.limited": "The account may make few messages a day until it is confirmed.",
    "account.unblocked": "A block of the account was lifted.",
    "campaign.deleted": "A campaign was deleted, with its events and numbers.",
    "key.created": "An API key was made.",
    "key.revoked": "An API key was revoked.",
    "suppression.added": "An address was put on the list.",
    "suppression.deleted": "A row of the list was deleted.",
    "suppression.lifted": "A person's opt-out gave way to a later consent.",
    "suppressions.imported": "A list of suppressions was imported.",
    "topic.created": "A topic was announced.",
    "topic.deleted": "A topic was cleared away.",
}

ACTIONS: Mapping[str, str] = dict(sorted({**LOOKS, **CHANGES}.items()))
"""Every action by its name, which begins with what kind of thing it was done to."""


class AuditEntry(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What somebody did. It is never changed, and holds neither an address nor a secret.

    ``id`` begins with the time. ``key`` is the id of the API key that did it; None for the operator's commands.
    ``subject`` names what it was done to by its id, or by its name where that is what it goes by; None for what is no
    one thing.
    """

    account: bytes
    id: bytes
    key: bytes | None
    action: str
    subject: str | None

    @property
    def occurred_at(self) -> int:
        """Unix milliseconds."""
        return time_in(self.id)

    @property
    def kind(self) -> str:
        """What kind of thing it was done to."""
        return self.action.partition(".")[0]


MakeEntry = Callable[[str | None], AuditEntry]
"""Makes the entry of what is being done, of the subject it is done to."""


def new_entry(action: str, *, account: bytes, key: bytes | None, subject: str | None, at: int) -> AuditEntry:
    """An entry that is stored nowhere yet. ``action`` is one of :data:`ACTIONS`; ``at`` is Unix milliseconds."""
    if action not in ACTIONS:
        raise ValueError(f"no such action: {action}")
    return AuditEntry(account=account, id=event_id(at), key=key, action=action, subject=subject)
