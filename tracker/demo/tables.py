"""Links, events and suppressions in columns."""

from collections.abc import Sequence

from ..domain.events import Event
from .mail import LinkReported
from .readers import READERS
from .sender import Checked
from .steps import Table


def table_of_links(links: Sequence[LinkReported]) -> Table:
    """Which links are tracked, and why the others are not."""
    tracked = sum(link.tracked for link in links)
    return Table(
        heads=("LINK", "LEADS TO", "TRACKED"),
        rows=[
            (str(link.number), link.url or "(nowhere)", "yes" if link.tracked else f"no: {link.why}") for link in links
        ],
        sentence=(
            f"{tracked} of {len(links)} links are tracked."
            if tracked
            else "There is no link in it that can be tracked, so nobody clicks in this story."
        ),
    )


def table_of_events(events: Sequence[Event]) -> Table:
    """What happened, in the order in which it was stored."""
    names = {reader.email: reader.name for reader in READERS}
    return Table(
        heads=("NO", "EVENT", "READER", "VERDICT", "SIGNALS", "PROGRAM"),
        rows=[
            (
                str(event.sequence),
                event.type if event.link is None else f"{event.type} link {event.link}",
                names.get(event.recipient.email or "", "-"),
                event.verdict.value,
                " ".join(event.verdict.signals) or "-",
                ", ".join(filter(None, (event.client.name, event.client.os))) or "-",
            )
            for event in events
        ],
    )


def table_of_suppressions(checked: Sequence[Checked]) -> Table:
    """Who may be written to, and why the others may not."""
    return Table(
        heads=("RECIPIENT", "ALLOWED", "REASON", "SCOPE", "SINCE"),
        rows=[
            (one.recipient, "yes" if one.allowed else "no", one.reason or "-", one.scope or "-", one.since or "-")
            for one in checked
        ],
    )
