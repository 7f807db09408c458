"""What fields of the API hold, for bodies and queries alike: told to whoever reads the documents of the API.

Schemas say here what the code judges elsewhere in words of its own; only the bounds of whole numbers in a query are
held by them.
"""

from typing import Annotated

from msgspec import Meta

from ..domain.addresses import LONGEST_ADDRESS
from .names import (
    LONGEST_EXTERNAL_ID,
    LONGEST_LABEL,
    LONGEST_METADATA_KEY,
    LONGEST_METADATA_VALUE,
    LONGEST_NAME,
    MOST_METADATA,
)

MOST_ROWS = 1_000
"""Of one page."""

LAST_SEQUENCE = 2**63 - 1

_NAME = {
    "minLength": 1,
    "maxLength": LONGEST_NAME,
    "pattern": r"^[^/\u0000-\u001f\u007f-\u009f]+$",
    "not": {"enum": [".", ".."]},
}

_STORABLE = {"pattern": r"^[^\u0000]*$"}


def text(description: str, *, longest: int, shortest: int = 0) -> Meta:
    """Of a text of the customer's own."""
    least = {"minLength": shortest} if shortest else {}
    return Meta(description=description, extra_json_schema={**least, "maxLength": longest, **_STORABLE})


NAME_SCHEMA = {"type": "string", **_NAME}
"""Of the name of a campaign or a topic."""

_BY_USE = "It comes into being by being used. No / and no control characters, and neither . nor .. alone."

Campaign = Annotated[str, Meta(description=f"The campaign. {_BY_USE}", extra_json_schema=_NAME)]
Topic = Annotated[str, Meta(description=f"The topic. {_BY_USE}", extra_json_schema=_NAME)]

Email = Annotated[
    str,
    Meta(
        description="One e-mail address, without a name and without < and >.",
        extra_json_schema={"format": "idn-email", "maxLength": LONGEST_ADDRESS},
        examples=["Ada@Example.com"],
    ),
]

ExternalId = Annotated[
    str,
    Meta(
        description="Your own name for the recipient.",
        extra_json_schema={"minLength": 1, "maxLength": LONGEST_EXTERNAL_ID, **_STORABLE},
        examples=["crm-42"],
    ),
]

ID_SCHEMA = {"type": "string", "format": "uuid"}
"""Of an id of ours."""

MetadataValue = Annotated[str, Meta(extra_json_schema={"maxLength": LONGEST_METADATA_VALUE, **_STORABLE})]
Metadata = Annotated[
    dict[str, MetadataValue | int | float | bool | None],
    Meta(
        description="Comes back with every event.",
        extra_json_schema={
            "maxProperties": MOST_METADATA,
            "propertyNames": {"minLength": 1, "maxLength": LONGEST_METADATA_KEY, **_STORABLE},
        },
    ),
]

Limit = Annotated[int, Meta(ge=1, le=MOST_ROWS, description="How many rows at most.")]
Cursor = Annotated[str, Meta(description="Where to go on: next_cursor of the page before.")]
After = Annotated[
    int, Meta(ge=0, le=LAST_SEQUENCE, description="The last sequence number you have; what is younger is answered.")
]


def label(description: str) -> Meta:
    """Of what people call an account or a key."""
    return Meta(description=description, extra_json_schema={"minLength": 1, "maxLength": LONGEST_LABEL})


def word(*words: str, description: str) -> Meta:
    """Of a text that is one of these."""
    return Meta(description=description, extra_json_schema={"enum": list(words)})
