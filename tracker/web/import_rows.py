"""Lines of an import, as CSV or NDJSON, judged one by one: a bad one is an entry of the report and fails no other."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Annotated, Protocol

import msgspec
from msgspec import Meta

from ..domain.addresses import InvalidAddress, address_key, hashed_address_key, read_address
from ..domain.csv_tables import CsvTable, Record
from ..domain.ids import new_id
from ..domain.lines import BadLine, Line, Lines
from ..domain.suppressions import (
    LONGEST_NOTE,
    ORIGINS,
    PERSONAL_REASONS,
    REASONS,
    SCOPES,
    Origin,
    Reason,
    Scope,
)
from ..domain.times import BadTime, Time, parse_time
from ..storage.accounts import Account
from ..storage.suppression_rows import NewSuppression
from .bodies import flaw_in
from .fields import Email, Topic, text
from .names import name_flaw, text_flaw
from .suppression_questions import BadWord, one_of

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


class ImportedRow(msgspec.Struct):
    """A line of an import: email or sha256, and the rest as far as it is known. Other columns are left out."""

    email: Email | None = None
    sha256: Annotated[str, Meta(description="Of the canonical form of an address, in hexadecimal digits.")] | None = (
        None
    )
    reason: Reason | None = None
    scope: Scope | None = None
    topic: Topic | None = None
    origin: Origin | None = None
    note: Annotated[str, text("Your own.", longest=LONGEST_NOTE)] | None = None
    created_at: Time | None = None


COLUMNS = ImportedRow.__struct_fields__
_KEYS = ("email", "sha256")
_ALIASES = {
    **{name: name for name in COLUMNS},
    # As Mailchimp, Postmark and others call it.
    **dict.fromkeys(("e_mail", "mail", "email_address", "emailaddress", "recipient"), "email"),
}


class Rows(Protocol):
    """Takes bytes as they come, and gives the number of each line with what stands on it."""

    def feed(self, data: bytes) -> Iterator[tuple[int, ImportedRow] | BadLine]:
        """What is complete with these bytes. Raises ``NotText`` and ``NoHeader``."""
        ...

    def end(self) -> Iterator[tuple[int, ImportedRow] | BadLine]:
        """What is complete when nothing more comes."""
        ...


class CsvRows:
    """Rows of a table; see ``CsvTable``."""

    def __init__(self) -> None:
        self._lines = Lines()
        self._table = CsvTable(_ALIASES, _KEYS)

    def feed(self, data: bytes) -> Iterator[tuple[int, ImportedRow] | BadLine]:
        return map(_row, self._table.read(self._lines.feed(data)))

    def end(self) -> Iterator[tuple[int, ImportedRow] | BadLine]:
        yield from map(_row, self._table.read(self._lines.end()))
        yield from map(_row, self._table.end())


def _row(found: Record | BadLine) -> tuple[int, ImportedRow] | BadLine:
    return found if isinstance(found, BadLine) else (found.line, ImportedRow(**found.cells))


class JsonRows:
    """An object a line (NDJSON)."""

    def __init__(self) -> None:
        self._lines = Lines()

    def feed(self, data: bytes) -> Iterator[tuple[int, ImportedRow] | BadLine]:
        return _objects(self._lines.feed(data))

    def end(self) -> Iterator[tuple[int, ImportedRow] | BadLine]:
        return _objects(self._lines.end())


def _objects(lines: Iterable[Line]) -> Iterator[tuple[int, ImportedRow] | BadLine]:
    for line in lines:
        if line.text is None:
            yield BadLine(line.number, "this line is too long")
        elif line.text.strip():
            yield _object(line.number, line.text)


def _object(number: int, written: str) -> tuple[int, ImportedRow] | BadLine:
    try:
        return number, msgspec.json.decode(written, type=ImportedRow)
    except msgspec.ValidationError as error:
        flaw = flaw_in(error)
        return BadLine(number, f"{flaw.pointer.removeprefix('#/')}: {flaw.detail}".removeprefix("#: "))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return BadLine(number, "cannot be read as a JSON object")


class _Flaw(ValueError):
    """What is wrong with a row."""


class Judge:
    """Makes suppressions of rows. ``reason`` is that of rows that give none, ``now`` is Unix milliseconds."""

    def __init__(self, account: Account, reason: str, now: int) -> None:
        self._account = account
        self._reason = reason
        self._now = now

    def judged(self, found: tuple[int, ImportedRow] | BadLine) -> NewSuppression | BadLine:
        """The suppression a row stands for, or what is wrong with it."""
        if isinstance(found, BadLine):
            return found
        number, row = found
        try:
            return self._suppression(row)
        except _Flaw as error:
            return BadLine(number, str(error))

    def _suppression(self, row: ImportedRow) -> NewSuppression:
        key, email = self._who(row)
        reason = _word("reason", row.reason, REASONS) or self._reason
        topic = _topic(row)
        if flaw := text_flaw(row.note or "", longest=LONGEST_NOTE):
            raise _Flaw(f"note: {flaw}")
        return NewSuppression(
            account_id=self._account.id,
            address_key=key,
            scope="topic" if topic else "account",
            topic=topic,
            reason=reason,
            created_at=self._created_at(row),
            id=new_id(),
            email=email,
            note=row.note or None,
            origin=_origin(row, reason),
        )

    def _who(self, row: ImportedRow) -> tuple[bytes, str | None]:
        email, digest = (row.email or "").strip(), (row.sha256 or "").strip()
        if email and digest:
            raise _Flaw("give email or sha256, not both")
        if _SHA256.fullmatch(email):
            email, digest = "", email
        if digest:
            if not _SHA256.fullmatch(digest):
                raise _Flaw("sha256: must have 64 hexadecimal digits")
            return hashed_address_key(bytes.fromhex(digest), self._account.pepper), None
        if not email:
            raise _Flaw("there is no email and no sha256")
        try:
            address = read_address(email)
        except InvalidAddress as error:
            raise _Flaw(f"email: {error}") from None
        return address_key(address.canonical, self._account.pepper), address.raw

    def _created_at(self, row: ImportedRow) -> int:
        written = (row.created_at or "").strip()
        if not written:
            return self._now
        try:
            created_at = parse_time(written)
        except BadTime as error:
            raise _Flaw(f"created_at: {error}") from None
        if created_at > self._now:
            raise _Flaw("created_at: lies in the future")
        return created_at


def _topic(row: ImportedRow) -> str:
    topic = unicodedata.normalize("NFC", row.topic or "")
    if topic and (flaw := name_flaw(topic)):
        raise _Flaw(f"topic: {flaw}")
    scope = _word("scope", row.scope, SCOPES)
    if scope and scope != ("topic" if topic else "account"):
        raise _Flaw("scope: is topic where a topic is named, and account everywhere else")
    return topic


def _origin(row: ImportedRow, reason: str) -> str:
    origin = _word("origin", row.origin, ORIGINS) or "customer"
    if origin == "recipient" and reason not in PERSONAL_REASONS:
        raise _Flaw(f"origin: is recipient only with the reason {' or '.join(PERSONAL_REASONS)}")
    return origin


def _word(column: str, given: str | None, words: tuple[str, ...]) -> str:
    word = (given or "").strip().lower()
    try:
        return one_of(words, word) if word else ""
    except BadWord as error:
        raise _Flaw(f"{column}: {error}") from None
