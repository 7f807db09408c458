"""Blocking for abuse, from the command line."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tracker.domain.links import Links
from tracker.storage.installation import files_of, prepare

EVIL = "https://evil.example/login?id=1"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture
def account(run: Run) -> str:
    """The id of an account."""
    return str(run("account", "create", "Larkspur", "--json").json["account"]["id"])


def test_block_is_listed_until_it_is_taken_back(run: Run, account: str) -> None:
    """In the spelling of browsers, with its reason and since when; to people and to programs."""
    made: list[dict[str, Any]] = [
        run("block", kind, value, "--reason", "report 12", "--json").json
        for kind, value in (("host", "MÜNCHEN.example."), ("url", f"{EVIL}#top"), ("account", account))
    ]
    assert [(one["kind"], one["value"], one["changed"], one["made_by"]) for one in made] == [
        ("host", "xn--mnchen-3ya.example", True, None),
        ("url", EVIL, True, None),
        ("account", account, True, None),
    ]
    listed = run("blocks", "--json").json["data"]
    assert [set(one) for one in listed] == [{"id", "kind", "value", "reason", "since"}] * 3
    assert [one["id"] for one in listed] == [one["id"] for one in made]
    assert all(TIME.fullmatch(one["since"]) and one["reason"] == "report 12" for one in listed)
    text = run("blocks").out
    assert text.splitlines()[0].split() == ["KIND", "VALUE", "SINCE", "ID", "REASON"]
    assert all(one["value"] in text for one in made)
    gone = run("unblock", "host", "münchen.example", "--json").json
    assert (gone["id"], gone["value"], gone["changed"]) == (made[0]["id"], "xn--mnchen-3ya.example", True)
    assert f"Unblocked the URL {EVIL}." in run("unblock", "id", made[1]["id"]).out
    assert run("unblock", "account", account).status == 0
    assert run("blocks", "--json").json == {"data": []}
    assert "tracker block host evil.example --reason TEXT" in run("blocks").out


def test_people_are_told_what_holds_and_how_to_undo_it(run: Run, account: str) -> None:
    """Within ten seconds; and a second time that nothing was changed."""
    first = run("block", "host", "evil.example", "--reason", "first").out
    assert "Blocked the host evil.example with everything under it. It holds within 10 seconds" in first
    undo = re.search(r"tracker (unblock id \S+)", first)
    assert undo is not None
    again = run("block", "host", "Evil.Example", "--reason", "second")
    assert again.status == 0
    assert "Nothing was changed" in again.out
    assert again.out.rstrip().endswith(": first")
    assert run("block", "host", "evil.example", "--reason", "x", "--json").json["changed"] is False
    assert run(*undo[1].split()).status == 0
    run(*undo[1].split()).failed_with("no such block", "tracker blocks")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("block", "host", "https://evil.example/", "--reason", "x"), "not a host alone"),
        (("block", "host", "com", "--reason", "x"), "every host that ends in .com"),
        (("block", "url", "evil.example/login", "--reason", "x"), "begin it with https://"),
        (("block", "url", "mailto:a@evil.example", "--reason", "x"), "not a web link"),
        (("block", "url", "http://127.0.0.1:8000/c/damaged", "--reason", "x"), "tracked link of this server"),
        (("block", "account", "Larkspur", "--reason", "x"), "16 hexadecimal digits"),
        (("block", "host", "evil.example"), "--reason"),
        (("block", "host", "evil.example", "--reason", " "), "printable"),
        (("block", "host", "evil.example", "--reason", "a\nb"), "printable"),
        (("block", "host", "evil.example", "--reason", "x" * 501), "500"),
        (("block", "link", "evil.example", "--reason", "x"), "link"),
        (("unblock", "id", "12"), "not an id"),
        (("unblock", "host", "a b"), "not a host alone"),
    ],
)
def test_wrong_use_is_explained(run: Run, account: str, arguments: tuple[str, ...], words: str) -> None:
    """Status 2, and nothing is blocked."""
    ran = run(*arguments)
    assert (ran.status, ran.out) == (2, "")
    assert words in " ".join(ran.err.split())
    assert run("blocks", "--json").json == {"data": []}


def test_what_is_not_there_is_an_error(run: Run, account: str) -> None:
    """An account that was never made cannot be blocked, and what is not blocked cannot be unblocked."""
    run("block", "account", "00" * 8, "--reason", "x").failed_with("00" * 8, "tracker account list")
    run("unblock", "host", "evil.example").failed_with("evil.example", "tracker blocks")
    run("unblock", "account", account).failed_with(account)


def test_tracked_link_is_blocked_by_what_it_leads_to(run: Run, folder: Path, account: str) -> None:
    """A report shows the link of the mail, which is this server's; the account that made it is named."""

    async def signed() -> str:
        prepared = await prepare(files_of(f"sqlite:///{folder}/tracker.db"), None)
        return Links(prepared.keyring).sign_click(bytes.fromhex(account), bytes(16), 0, f"{EVIL}#top")

    link = f"http://127.0.0.1:8000/c/{asyncio.run(signed())}"
    made = run("block", "url", link, "--reason", "report 12", "--json").json
    assert (made["value"], made["made_by"]) == (EVIL, account)
    assert f"The link was made by the account {account}." in run("block", "url", link, "--reason", "x").out
    # As a gateway shows it, and in a shell that has not the server's settings.
    for host in ("https://t.example.com", "HTTP://127.0.0.1:8000", "https://links.example:8443"):
        reported = f"{link.replace('http://127.0.0.1:8000', host)}?from=gateway#top"
        assert run("block", "url", reported, "--reason", "x", "--json").json["value"] == EVIL
    assert run("unblock", "url", link).status == 0
    theirs = "https://other.example/c/page"
    assert run("block", "url", theirs, "--reason", "x", "--json").json["value"] == theirs
