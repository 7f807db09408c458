"""Names customers choose - of campaigns, topics and their own records - and what they may hold."""

import unicodedata
from collections.abc import Mapping
from typing import Any

from .problems import Flaw, flawed, pointer_part

LONGEST_NAME = 100
_MOST_TYPED = 4 * LONGEST_NAME
"""One character of NFC can be typed as four: no longer text can become a name."""

LONGEST_LABEL = 200
LONGEST_EXTERNAL_ID = 200
MOST_METADATA = 20
LONGEST_METADATA_KEY = 40
LONGEST_METADATA_VALUE = 500
_LARGEST_NUMBER = 2**63


def name_flaw(name: str) -> str | None:
    """Why this cannot be the name of a campaign or a topic."""
    if not 1 <= len(name) <= LONGEST_NAME:
        return f"must have 1 to {LONGEST_NAME} characters"
    if "/" in name:
        return "must not contain a slash"
    if name in (".", ".."):
        # Every client takes them out of a URL (RFC 3986, section 5.2.4): nobody could ask for it.
        return "must not be . or .."
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        return "must not contain control characters"
    return None


def normal_name(name: str) -> str:
    """The name in the form it is compared in (NFC); what is too long to be one stays as it is.

    Normalising takes quadratic time for a long run of combining marks: hours for what fits into a body.
    """
    return unicodedata.normalize("NFC", name) if len(name) <= _MOST_TYPED else name


def name_to_find(name: str) -> str:
    """The name in the form it is compared in; of what can be no name, one that nothing has.

    Not every database can be asked for every text, and the answer is the same.
    """
    normal = normal_name(name)
    return normal if name_flaw(normal) is None else ""


def checked_name(pointer: str, name: str) -> str:
    """The name in the form it is compared in. Raises ``Problem`` 422."""
    normal = normal_name(name)
    if flaw := name_flaw(normal):
        raise flawed([Flaw(f"#/{pointer}", flaw)])
    return normal


def label_flaw(label: str) -> str | None:
    """Why this cannot be what people call an account or a key: it stands in tables, mails and pages."""
    if label.strip() and len(label) <= LONGEST_LABEL and label.isprintable():
        return None
    return f"must have 1 to {LONGEST_LABEL} printable characters"


def external_id_flaw(external_id: str | None) -> str | None:
    """Why this cannot be a recipient's id with the customer."""
    if external_id is None:
        return None
    if not 1 <= len(external_id) <= LONGEST_EXTERNAL_ID:
        return f"must have 1 to {LONGEST_EXTERNAL_ID} characters"
    return "must not contain NUL or half a surrogate pair" if _unstorable(external_id) else None


def text_flaw(text: str, *, longest: int) -> str | None:
    """Why this cannot be kept as a text of the customer's own."""
    if len(text) > longest:
        return f"must have at most {longest} characters"
    return "must not contain NUL or half a surrogate pair" if _unstorable(text) else None


def metadata_flaws(pointer: str, metadata: Mapping[str, Any]) -> list[Flaw]:
    """What is wrong with the metadata of a message."""
    if len(metadata) > MOST_METADATA:
        return [Flaw(pointer, f"must have at most {MOST_METADATA} entries")]
    flaws = []
    for key, value in metadata.items():
        where = f"{pointer}/{pointer_part(key)}"
        if not 1 <= len(key) <= LONGEST_METADATA_KEY or _unstorable(key):
            flaws.append(Flaw(pointer, f"keys must have 1 to {LONGEST_METADATA_KEY} characters, without NUL"))
        elif isinstance(value, str) and (len(value) > LONGEST_METADATA_VALUE or _unstorable(value)):
            flaws.append(Flaw(where, f"must have at most {LONGEST_METADATA_VALUE} characters, without NUL"))
        elif isinstance(value, int) and not -_LARGEST_NUMBER <= value < _LARGEST_NUMBER:
            flaws.append(Flaw(where, "must fit into 64 bits"))
    return flaws


def _unstorable(text: str) -> bool:
    return "\0" in text or any("\ud800" <= character <= "\udfff" for character in text)
