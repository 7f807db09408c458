"""Every command says what it did, to people and to programs."""

import asyncio
import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from tests.cli.conftest import Run
from tracker import __version__
from tracker.cli import tracker
from tracker.storage.api_keys import SCOPES, Access, ApiKeys
from tracker.storage.installation import files_of
from tracker.storage.migrations import migrations

FILES = ("tracker.db", "tracker.db.inbox", "tracker.db.keys")


def opened_with(folder: Path, key: str) -> Access | None:
    """What a key opens, as a server in this folder would say."""

    async def ask() -> Access | None:
        async with files_of(f"sqlite:///{folder}/tracker.db").main_database() as database:
            _, identifier, secret = key.split("_", 2)
            return await ApiKeys(database).open_with(bytes.fromhex(identifier), secret)

    return asyncio.run(ask())


def id_of(key: str) -> bytes:
    return bytes.fromhex(key.split("_", 2)[1])


def test_first_account_makes_the_installation(run: Run, folder: Path) -> None:
    """In an empty folder: database, inbox and keys, for nobody's eyes but the owner's; the shape is the contract's."""
    made = run("account", "create", "Larkspur & Rook", "--json").json
    assert {name for name in FILES if (folder / name).is_file()} == set(FILES)
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert set(made) == {"account", "api_key"}
    assert made["account"] == {"id": made["account"]["id"], "name": "Larkspur & Rook"}
    assert re.fullmatch(r"[0-9a-f]{16}", made["account"]["id"])
    assert re.fullmatch(r"trk_[0-9a-f]{16}_[\w-]{43}", made["api_key"])
    access = opened_with(folder, made["api_key"])
    assert access == Access(bytes.fromhex(made["account"]["id"]), id_of(made["api_key"]), frozenset(SCOPES))


def test_account_is_told_to_people(run: Run) -> None:
    """Its id and its key, which is shown this once."""
    ran = run("account", "create", "Larkspur")
    assert ran.status == 0
    assert "Created the account Larkspur (" in ran.out
    assert re.search(r"^  trk_[0-9a-f]{16}_[\w-]{43}$", ran.out, re.MULTILINE)
    assert ran.err == ""


@pytest.mark.parametrize("name", ["", "  ", "x" * 201, "a\nb", "a\x1b[31mb", "a\u202eb"])
def test_names_are_printable(run: Run, folder: Path, name: str) -> None:
    """Of accounts and of keys: they stand in tables, mails and pages. Nothing is made."""
    ran = run("account", "create", "--", name)
    assert (ran.status, ran.out) == (2, "")
    assert "printable" in ran.err
    assert list(folder.iterdir()) == []
    ran = run("key", "create", "0" * 16, "--name", name)
    assert ran.status == 2
    assert "printable" in ran.err


@pytest.fixture
def account(run: Run) -> dict[str, Any]:
    made: dict[str, Any] = run("account", "create", "Larkspur", "--json").json
    return made


def test_keys_are_created_with_scopes(run: Run, folder: Path, account: dict[str, Any]) -> None:
    """Those that were asked for, or every one."""
    owner = account["account"]["id"]
    some = run("key", "create", owner, "--name", "mailer", "--scope", "messages", "--scope", "events", "--json").json
    assert some == {
        "id": some["api_key"].split("_")[1],
        "account": owner,
        "name": "mailer",
        "scopes": ["messages", "events"],
        "api_key": some["api_key"],
    }
    assert opened_with(folder, some["api_key"]) == Access(
        bytes.fromhex(owner), id_of(some["api_key"]), frozenset({"messages", "events"})
    )
    every = run("key", "create", owner)
    written = re.search(r"trk_\S+", every.out)
    assert written is not None
    assert opened_with(folder, written[0]) == Access(bytes.fromhex(owner), id_of(written[0]), frozenset(SCOPES))


def test_keys_are_listed_without_their_secrets(run: Run, account: dict[str, Any]) -> None:
    """As JSON and as a table; of one account if so wished."""
    other = run("account", "create", "Rook", "--json").json
    listed = run("key", "list", "--json").json["data"]
    assert [set(row) for row in listed] == [{"id", "account", "name", "scopes", "created_at", "revoked_at"}] * 2
    mine = run("key", "list", "--account", account["account"]["id"], "--json").json["data"]
    assert [row["id"] for row in mine] == [account["api_key"].split("_")[1]]
    assert (mine[0]["name"], mine[0]["scopes"], mine[0]["revoked_at"]) == ("first key", list(SCOPES), None)
    table = run("key", "list").out
    assert table.splitlines()[0].split() == ["ID", "ACCOUNT", "NAME", "CREATED", "REVOKED", "SCOPES"]
    head, _, *rows = table.splitlines()
    assert {row.index(row.split()[1]) for row in rows} == {head.index("ACCOUNT")}
    for key in (account["api_key"], other["api_key"]):
        assert key.split("_")[1] in table
        assert key.split("_", 2)[2] not in table + run("key", "list", "--json").out


def test_empty_list_says_what_to_do(run: Run) -> None:
    """An empty table explains itself."""
    run("migrate")
    assert run("key", "list", "--json").json == {"data": []}
    assert "tracker account create NAME" in run("key", "list").out


def test_key_is_revoked_once(run: Run, folder: Path, account: dict[str, Any]) -> None:
    """It opens nothing from then on; it stays in the list; a second time is an error."""
    identifier = account["api_key"].split("_")[1]
    assert run("key", "revoke", identifier, "--json").json == {"id": identifier, "revoked": True}
    assert opened_with(folder, account["api_key"]) is None
    (row,) = run("key", "list", "--json").json["data"]
    assert row["revoked_at"].endswith("Z")
    run("key", "revoke", identifier).failed_with(identifier, "tracker key list")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("key", "create", "larkspur"), "ACCOUNT"),
        (("key", "create", "0" * 15), "ACCOUNT"),
        (("key", "list", "--account", "x"), "ACCOUNT"),
        (("key", "revoke", "trk_x"), "KEY"),
        (("key", "revoke", "é" * 16), "KEY"),
        (("key", "create", "0" * 16, "--scope", "everything"), "--scope"),
        (("serve", "--port", "65536"), "--port"),
        (("serve", "--port", "x"), "--port"),
        (("account", "create"), "NAME"),
        (("account", "create", "a", "b"), "b"),
        (("nothing",), "nothing"),
        (("key", "nothing"), "nothing"),
        (("check", "--xml"), "--xml"),
    ],
)
def test_wrong_use_is_explained(run: Run, folder: Path, arguments: tuple[str, ...], word: str) -> None:
    """Status 2, what was wrong and how it is meant; nothing is made."""
    ran = run(*arguments)
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith("Usage: tracker")
    assert word in ran.err.splitlines()[-1]
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("command", [("check",), ("key", "list"), ("key", "revoke", "00" * 8), ("rotate-keys",)])
def test_look_makes_no_installation(run: Run, folder: Path, command: tuple[str, ...]) -> None:
    """A misspelt name is an error, not a new database with new keys."""
    run(*command).failed_with("there is no database tracker.db yet", "TRACKER_DATABASE_URL")
    assert list(folder.iterdir()) == []


def test_account_that_is_none_is_an_error(run: Run) -> None:
    """With the command that makes one."""
    run("migrate")
    for command in (("key", "create", "00" * 8), ("key", "list", "--account", "00" * 8)):
        run(*command).failed_with("00" * 8, "tracker account create NAME")


def test_migrate_says_what_it_did(run: Run) -> None:
    """The scripts it applied; a second time there are none."""
    assert run("migrate", "--json").json == {
        "database": "tracker.db",
        "applied": [f"{part}/{one.name}" for part in ("main", "inbox") for one in migrations(part)],
    }
    assert run("migrate", "--json").json == {"database": "tracker.db", "applied": []}
    assert run("migrate").out == "tracker.db is up to date.\n"


def test_check_shows_the_settings_that_hold(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the environment or by default, and the signing keys by their numbers."""
    monkeypatch.setenv("TRACKER_BASE_URL", "https://t.example.com")
    monkeypatch.setenv("TRACKER_DRAIN_SECONDS", "0")
    run("migrate")
    shown = run("check", "--json").json
    assert (shown["ok"], shown["signing_keys"]) == (True, [1])
    assert shown["settings"]["base_url"] == "https://t.example.com"
    assert shown["settings"]["port"] == 8000
    text = run("check").out
    assert re.search(r"^TRACKER_BASE_URL +https://t\.example\.com$", text, re.MULTILINE)
    assert re.search(r"^TRACKER_DRAIN_SECONDS +0$", text, re.MULTILINE)
    assert re.search(r"^TRACKER_SIGNING_KEY +-$", text, re.MULTILINE)
    assert "tracker.db and tracker.db.inbox can be served; signing keys: 1." in text


def test_check_shows_the_settings_before_there_is_anything(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has just written them wants to see them; what is missing is said, and nothing is made."""
    monkeypatch.setenv("TRACKER_BASE_URL", "https://t.example.com")
    ran = run("check")
    ran.failed_with("there is no database tracker.db yet")
    assert re.search(r"^TRACKER_BASE_URL +https://t\.example\.com$", ran.out, re.MULTILINE)
    programs = run("check", "--json")
    assert (programs.status, programs.out.count("\n")) == (1, 1)
    told = json.loads(programs.out)
    assert told["settings"]["base_url"] == "https://t.example.com"
    assert (told["ok"], told["signing_key"]) == (False, None)
    assert "there is no database tracker.db yet" in told["problem"]
    assert list(folder.iterdir()) == []


MISSPELT = {
    "TRACKER_BASEURL": "did you mean TRACKER_BASE_URL?",
    "TRACKER_TRUSTED_PROXY": "did you mean TRACKER_TRUSTED_PROXIES?",
    "TRACKER_METRIC_TOKEN": "did you mean TRACKER_METRICS_TOKEN?",
    "TRACKER_XYZZY_QQQQQ": "tracker check lists all settings",
}


@pytest.mark.parametrize("command", [("check",), ("migrate",), ("account", "create", "Larkspur"), ("key", "list")])
def test_misspelt_settings_are_named(run: Run, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]) -> None:
    """On standard error, with what was probably meant and without the value; the command does what it does."""
    run("migrate")
    before = run(*command, "--json")
    for name in MISSPELT:
        monkeypatch.setenv(name, "a-secret-value")
    ran = run(*command, "--json")
    assert ran.status == before.status == 0
    assert set(json.loads(ran.out)) == set(json.loads(before.out))
    lines = sorted(f"Warning: {name} is no setting and is ignored: {hint}" for name, hint in MISSPELT.items())
    assert ran.err.splitlines() == lines


def test_variables_that_others_set_are_no_mistakes(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service called "tracker" in Kubernetes sets some, and the commands for lists take a key."""
    for name in ("TRACKER_SERVICE_HOST", "TRACKER_SERVICE_PORT_HTTP", "TRACKER_PORT_8000_TCP_ADDR", "TRACKER_API_KEY"):
        monkeypatch.setenv(name, "x")
    assert run("migrate").err == ""


def test_check_shows_no_secret(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys in the environment are set, and that is all that is said."""
    monkeypatch.setenv("TRACKER_SECRET_KEYS", f"1:{'A' * 43},7:{'B' * 43}")
    run("migrate")
    for ran in (run("check"), run("check", "--json")):
        assert ran.status == 0
        assert "A" * 43 not in ran.out + ran.err
        assert "(set)" in ran.out
    assert run("check", "--json").json["signing_keys"] == [1, 7]


def test_keys_of_the_environment_make_no_file(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever keeps them elsewhere keeps them elsewhere only."""
    monkeypatch.setenv("TRACKER_SECRET_KEYS", f"1:{'A' * 43}")
    assert run("account", "create", "Larkspur").status == 0
    assert not (folder / "tracker.db.keys").exists()


def commands(command: click.Command, *names: str) -> Iterator[tuple[str, ...]]:
    """Every command of the program, groups and hidden ones included, as it is called."""
    yield names
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from commands(inner, *names, name)


@pytest.mark.parametrize("names", list(commands(tracker)), ids=" ".join)
@pytest.mark.parametrize("columns", ["80", "200"])
def test_help_is_readable(
    run: Run, folder: Path, names: tuple[str, ...], columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole sentences in every line of every command, in a narrow terminal too; -h is --help."""
    monkeypatch.setenv("COLUMNS", columns)
    ran = run(*names, "--help")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith(f"Usage: {' '.join(('tracker', *names))}")
    assert "..." not in ran.out.replace("[ARGS]...", "")
    assert max(map(len, ran.out.splitlines())) <= 110
    assert run(*names, "-h") == ran
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("names", [names for names in commands(tracker) if names], ids=" ".join)
def test_every_command_speaks_json(names: tuple[str, ...]) -> None:
    """Programs need not read sentences."""
    command: click.Command = tracker
    for name in names:
        assert isinstance(command, click.Group)
        command = command.commands[name]
    if not isinstance(command, click.Group) and not command.hidden:
        assert "--json" in [name for parameter in command.params for name in parameter.opts]


def test_version_is_said(run: Run) -> None:
    """One line."""
    assert run("--version").out == f"tracker, version {__version__}\n"


def test_without_a_command_there_is_help(run: Run) -> None:
    """Which is no success."""
    ran = run()
    assert ran.status == 2
    assert "account" in ran.err + ran.out
