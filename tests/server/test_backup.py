"""A backup taken from a server at work, and an installation made from it elsewhere."""

import asyncio
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from tests.server.expectations import expect_a_good_end, expect_led_on, wrongly_answered
from tests.server.harness import TRACKER, Account, Server, broken, environment, stopped_worker
from tests.server.ledger import KINDS, Fault, Ledger, faults
from tests.server.load import Client, Load, Mail
from tests.server.stored import read_stored

pytestmark = [pytest.mark.fault, pytest.mark.anyio]

_BEFORE, _AFTER = 1_500, 300
"""Acknowledged deeds before a backup, and after it."""


async def ran(folder: Path, *arguments: str, program: Sequence[str] = TRACKER) -> "subprocess.CompletedProcess[str]":
    """A command, as its operator runs it in that folder."""
    return await asyncio.to_thread(
        subprocess.run, (*program, *arguments), cwd=folder, env=environment({}), capture_output=True, text=True
    )


async def backed_up_under_load(
    server: Server, accounts: Sequence[Account], ledger: Ledger, file: Path, program: Sequence[str] = TRACKER
) -> tuple[Ledger, Mail]:
    """Take a backup in the middle of the load; gives what was promised before, and a mail made before."""
    async with Load(server, accounts, ledger) as load:
        await load.grows(by=_BEFORE)
        promised = ledger.as_of_now()
        run = await ran(server.folder, "backup", str(file), "--json", program=program)
        assert run.returncode == 0, run.stderr
        await load.grows(by=_AFTER)
        promised.may_hold(ledger)
        return promised, next(mail for mail in load.mails if mail.name not in names_of_leavers(ledger))


def names_of_leavers(ledger: Ledger) -> set[str]:
    """Who opted out, or may have."""
    return {deed.name for deed in ledger.sent("unsubscribed")}


async def restored(file: Path, server: Server, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Restore it in a folder of its own, with a copy of the server's keys."""
    await asyncio.to_thread(folder.mkdir)
    shutil.copy(server.folder / "tracker.db.keys", folder)
    return await ran(folder, "restore", str(file), "--json")


@pytest.mark.parametrize("backups", [1, pytest.param(12, marks=pytest.mark.long)])
async def test_all_that_was_acknowledged_before_a_backup_is_restored(tmp_path: Path, backups: int) -> None:
    """F28, B-34: each opt-out, open and click, once, in numbers without holes; old links work, and new hits count."""
    ledger = Ledger()
    async with Server(tmp_path / "data") as server:
        accounts = [await server.create_account(name) for name in ("north", "south")]
        for number in range(backups):
            file, folder = tmp_path / f"{number}.tar", tmp_path / f"elsewhere-{number}"
            promised, mail = await backed_up_under_load(server, accounts, ledger, file)
            assert all(promised.acknowledged(kind) for kind in KINDS), "the load must have done some of everything"
            run = await restored(file, server, folder)
            assert run.returncode == 0, run.stderr
            await expect_the_same_installation(folder, accounts, promised, mail)
        await expect_a_good_end(server)


async def expect_the_same_installation(folder: Path, accounts: Sequence[Account], promised: Ledger, mail: Mail) -> None:
    """What was promised is there and stays there while a server goes on with it."""
    async with Server(folder) as server:
        await server.caught_up()
        assert faults(promised, read_stored(server.main, server.inbox)) == []
        assert await wrongly_answered(server, accounts, promised) == []
        async with Client(server.port, promised) as reader:
            await expect_led_on(server, reader, mail)
        async with Load(server, accounts, promised) as load:
            await load.grows(by=_AFTER)
        await server.caught_up()
        assert faults(promised, read_stored(server.main, server.inbox)) == []
        await expect_a_good_end(server)


@pytest.mark.parametrize("how", ["copies-main-first", "copies-main-later", "copies-files"])
async def test_a_backup_that_is_not_of_one_moment_is_caught(tmp_path: Path, how: str) -> None:
    """F28's controls: files copied one after the other, or without their logs, lack something or do not agree."""
    ledger, file, folder = Ledger(), tmp_path / "backup.tar", tmp_path / "elsewhere"
    async with Server(tmp_path / "data") as server:
        accounts = [await server.create_account("north")]
        promised, _ = await backed_up_under_load(server, accounts, ledger, file, broken(how))
        run = await restored(file, server, folder)
        found = await faults_of(folder, promised) if run.returncode == 0 else []
        print(how, run.stderr, sorted({str(fault.what).partition(":")[0] for fault in found}))
        assert run.returncode == 1 or found


async def faults_of(folder: Path, promised: Ledger) -> list[Fault]:
    """What a server makes of a backup that is not right."""
    async with Server(folder) as server:
        await server.caught_up()
        return faults(promised, read_stored(server.main, server.inbox))


def make_installation(folder: Path, megabytes: int) -> Path:
    """An installation, and in its main file so much of no meaning."""
    folder.mkdir()
    command = (*TRACKER, "account", "create", "north")
    subprocess.run(command, cwd=folder, env=environment({}), capture_output=True, check=True)
    with closing(sqlite3.connect(folder / "tracker.db")) as database:
        database.execute("create table filling (content blob)")
        database.executemany("insert into filling values (zeroblob(1000000))", [()] * megabytes)
        database.commit()
    return folder


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_backup_that_is_stopped_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    """Whoever stops it gets status 1 and a sentence, and the folder is as it was."""
    folder, place = make_installation(tmp_path / "data", 200), tmp_path / "backups"
    place.mkdir()
    command = (*TRACKER, "backup", str(place / "backup.tar"))
    with subprocess.Popen(command, cwd=folder, env=environment({}), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while "Copying tracker.db (" not in process.stderr.readline():
            assert process.poll() is None, "the backup ended before it could be stopped"
        assert len(list(place.iterdir())) == 1
        process.send_signal(number)
        said = process.stderr.read()
    assert process.returncode == 1
    assert said.splitlines()[-1] == f"Error: the backup was stopped by {number.name}"
    assert list(place.iterdir()) == []


@pytest.mark.parametrize(("megabytes", "words"), [(30, "No space left on device"), (60, "disk is full")])
def test_a_backup_on_a_full_disk_leaves_nothing(tmp_path: Path, small_disk: Path, megabytes: int, words: str) -> None:
    """One sentence that says why, whether the packing finds no room of 48 MB, or the copying before."""
    folder, file = make_installation(tmp_path / "data", megabytes), small_disk / "backup.tar"
    command = (*TRACKER, "backup", str(file), "--json")
    run = subprocess.run(command, cwd=folder, env=environment({}), capture_output=True, text=True)
    assert (run.returncode, run.stdout, run.stderr.count("\n")) == (1, "", 1)
    assert run.stderr.startswith(f"Error: cannot write the backup {file}: ")
    assert words in run.stderr
    assert list(small_disk.iterdir()) == []


async def test_a_running_installation_is_not_restored_over(tmp_path: Path) -> None:
    """Neither beside its server nor beside a worker that is left; it goes on as if nothing had been."""
    file = tmp_path / "backup.tar"
    async with Server(tmp_path / "data") as server:
        account = await server.create_account("north")
        assert (await ran(server.folder, "backup", str(file))).returncode == 0
        run = await ran(server.folder, "restore", str(file), "--force", "--json")
        assert (run.returncode, run.stdout) == (1, "")
        assert "tracker.db is served by another process: stop that before you restore" in run.stderr
        async with stopped_worker(server):
            server.kill()
            run = await ran(server.folder, "restore", str(file), "--force", "--json")
            assert (run.returncode, run.stdout) == (1, "")
            assert "the worker of tracker.db is still at work" in run.stderr
        await server.start()
        assert (await server.ask("GET", "/v1/events", headers=account.authorization)).status == 200
