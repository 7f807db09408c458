"""What accounts there are, and what each may do."""

import re

import pytest

from tests.cli.conftest import Run


@pytest.fixture
def account(run: Run) -> str:
    """The id of an account."""
    return str(run("account", "create", "Larkspur", "--json").json["account"]["id"])


def test_accounts_are_listed_with_what_they_may_do(run: Run, account: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """New ones are limited where the operator wants that."""
    monkeypatch.setenv("TRACKER_NEW_ACCOUNTS", "limited")
    told = run("account", "create", "Rook").out
    assert "It may make 200 messages a day until you confirm it" in told
    run("block", "account", account, "--reason", "x")
    mine, theirs = run("account", "list", "--json").json["data"]
    assert mine == {
        "id": account,
        "name": "Larkspur",
        "created_at": mine["created_at"],
        "limited": False,
        "allowed_hosts": None,
        "blocked": True,
    }
    assert (theirs["name"], theirs["limited"], theirs["blocked"]) == ("Rook", True, False)
    assert f"tracker account confirm {theirs['id']}" in told
    heads = run("account", "list").out.splitlines()[0]
    assert re.split(r" {2,}", heads) == ["ID", "NAME", "CREATED", "LIMITED", "BLOCKED", "MAY LINK TO"]
    assert run("account", "show", account, "--json").json == mine


def test_account_is_confirmed_and_limited(run: Run, account: str) -> None:
    """As often as one likes."""
    for command, limited in (("limit", True), ("limit", True), ("confirm", False)):
        assert run("account", command, account, "--json").json["limited"] is limited
    assert re.search(r"^limited +no$", run("account", "confirm", account).out, re.MULTILINE)


def test_account_is_held_to_hosts(run: Run, account: str) -> None:
    """In the spelling of browsers, each once; the last list holds; and set free again."""
    hosts = ("--allow-host", "Shop.EXAMPLE.", "--allow-host", "münchen.example", "--allow-host", "shop.example")
    shown = run("account", "set", account, *hosts, "--json").json
    assert shown["allowed_hosts"] == ["shop.example", "xn--mnchen-3ya.example"]
    assert run("account", "set", account, "--allow-host", "[::1]", "--json").json["allowed_hosts"] == ["[::1]"]
    assert re.search(r"^may link to +\[::1\]$", run("account", "show", account).out, re.MULTILINE)
    assert run("account", "set", account, "--allow-any-host", "--json").json["allowed_hosts"] is None
    assert re.search(r"^may link to +any host$", run("account", "show", account).out, re.MULTILINE)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "--allow-any-host"),
        (["--allow-host", "a.example", "--allow-any-host"], "--allow-any-host"),
        (["--allow-host", "https://a.example"], "not a host alone"),
        ([word for n in range(101) for word in ("--allow-host", f"h{n}.example")], "at most 100"),
    ],
    ids=["nothing", "both", "a URL", "too many"],
)
def test_hosts_that_are_none_are_refused(run: Run, account: str, options: list[str], words: str) -> None:
    """Status 2, and nothing is changed."""
    ran = run("account", "set", account, *options)
    assert (ran.status, ran.out) == (2, "")
    assert words in ran.err
    assert run("account", "show", account, "--json").json["allowed_hosts"] is None


def test_options_of_an_account_that_is_none_are_an_error(run: Run, account: str) -> None:
    """For each command."""
    for arguments in (("show", "00" * 8), ("confirm", "00" * 8), ("limit", "00" * 8)):
        run("account", *arguments).failed_with("no account", "00" * 8)
    run("account", "set", "00" * 8, "--allow-any-host").failed_with("no account")
    assert run("account", "show", "Larkspur").status == 2


def test_empty_list_of_accounts_says_what_to_do(run: Run) -> None:
    """An empty table explains itself."""
    run("migrate")
    assert run("account", "list", "--json").json == {"data": []}
    assert "tracker account create NAME" in run("account", "list").out
