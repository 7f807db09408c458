"""``docs/tokens.md``: another implementation can be checked against it, and so can this one."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.domain.keys import Keyring, Purpose
from tracker.domain.links import LONGEST, BadToken, Link, Links, read, sign

DOCUMENT = (Path(__file__).parents[2] / "docs" / "tokens.md").read_text("utf-8")
VECTORS, REFUSED = (
    json.loads(block) for block in re.findall(r"^```json\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
)
SECRETS = {int(number): bytes.fromhex(secret) for number, secret in VECTORS["secrets"].items()}


def links_whose_newest_key_is(number: int) -> Links:
    return Links(Keyring({known: secret for known, secret in SECRETS.items() if known <= number}))


def readers(links: Links) -> Mapping[str, Callable[[str], Link]]:
    return {
        "open": links.read_open,
        "click": links.read_click,
        "unsubscribe": links.read_unsubscribe,
        "preferences": links.read_preferences,
    }


def written(name: str) -> Any:
    """A function of the document's own implementation."""
    names: dict[str, Any] = {}
    code = re.search(r"^```python\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert code is not None
    exec(code[1], names)
    return names[name]


def parts_of(vector: Mapping[str, Any]) -> tuple[bytes, bytes, bytes]:
    """Account, message, and what follows the message."""
    after = bytes.fromhex(vector.get("address_key", ""))
    if vector["purpose"] == "click":
        after = vector["link"].to_bytes(2, "big") + vector["destination"].encode()
    return bytes.fromhex(vector["account"]), bytes.fromhex(vector["message"]), after


def test_there_is_a_vector_for_every_link_of_a_mail() -> None:
    """No kind is forgotten, and a rotation is among them."""
    assert {vector["purpose"] for vector in VECTORS["tokens"]} == {"open", "click", "unsubscribe", "preferences"}
    assert {vector["key"] for vector in VECTORS["tokens"]} == {1, 2}


@pytest.mark.parametrize("vector", VECTORS["tokens"], ids=lambda vector: vector["token"][-22:])
def test_vector_comes_out_of_its_parts(vector: Mapping[str, Any]) -> None:
    """Tracker, and the document's own lines, make this very token."""
    account, message, after = parts_of(vector)
    number, purpose = vector["key"], Purpose(vector["purpose"])
    ring = Keyring({known: secret for known, secret in SECRETS.items() if known <= number})
    assert sign(ring, purpose, account, message + after) == vector["token"]
    assert written("sign")(SECRETS, number, purpose.value, account, message + after) == vector["token"]


@pytest.mark.parametrize("vector", VECTORS["tokens"], ids=lambda vector: vector["token"][-22:])
def test_parts_come_out_of_the_vector(vector: Mapping[str, Any]) -> None:
    """Whoever has all the keys reads it."""
    account, message, after = parts_of(vector)
    link = readers(links_whose_newest_key_is(2))[vector["purpose"]](vector["token"])
    assert (link.account, link.message) == (account, message)
    assert (link.number, link.destination) == (vector.get("link"), vector.get("destination"))
    assert link.address_key == (after if "address_key" in vector else None)
    payload = written("read")(SECRETS, vector["purpose"], vector["token"])
    assert payload == bytes([vector["key"]]) + account + message + after


@pytest.mark.parametrize("vector", REFUSED["refused"], ids=lambda vector: vector["why"])
def test_what_the_document_refuses_is_refused(vector: Mapping[str, Any]) -> None:
    """With the keys of the other vectors."""
    with pytest.raises(BadToken):
        readers(links_whose_newest_key_is(2))[vector["purpose"]](vector["token"])


def test_limits_of_the_document_are_ours() -> None:
    """The table at its beginning says how long a token may be."""
    rows = re.findall(r"^\| `/\w/<token>[^|]*\| `(\w+)` \| ([\d,]+) characters", DOCUMENT, re.MULTILINE)
    assert {Purpose(name): int(most.replace(",", "")) for name, most in rows} == LONGEST


@given(
    number=st.sampled_from(sorted(SECRETS)),
    purpose=st.sampled_from(Purpose),
    account=st.binary(min_size=8, max_size=8),
    body=st.binary(max_size=60),
)
def test_the_lines_in_the_document_and_we_agree(number: int, purpose: Purpose, account: bytes, body: bytes) -> None:
    """Each reads what the other signs."""
    ring = Keyring(SECRETS)
    theirs = written("sign")(SECRETS, number, purpose.value, account, body)
    assert read(ring, purpose, theirs, 200) == bytes([number]) + account + body
    ours = sign(ring, purpose, account, body)
    assert written("read")(SECRETS, purpose.value, ours) == bytes([2]) + account + body
    assert written("read")(SECRETS, purpose.value, ours[:-1]) is None
