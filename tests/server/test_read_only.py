"""What the server writes to becomes read-only, before it starts and while it runs."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.server.expectations import expect_a_good_end, expect_accepted, expect_led_on, expect_nothing_lost
from tests.server.harness import TRACKER, Server, environment, until
from tests.server.ledger import Ledger
from tests.server.load import Client, Load, make_mails
from tests.server.test_start import expect_a_sentence, serve

pytestmark = [pytest.mark.fault, pytest.mark.anyio]

_GAVE_UP_AGAIN = 2


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """The folder and all files in it; whoever has a file open goes on writing."""
    before = {path: path.stat().st_mode for path in (folder, *folder.iterdir())}
    for path, mode in before.items():
        path.chmod(mode & ~0o222)
    yield
    for path, mode in before.items():
        if path.exists():
            path.chmod(mode)


@pytest.mark.parametrize("account", [True, False], ids=["with-an-account", "empty"])
def test_a_file_system_that_is_read_only_is_refused_with_a_sentence(small_disk: Path, account: bool) -> None:
    """F06: an installation is there, or nothing is; mounted read-only, the server does not start."""
    if account:
        command = (*TRACKER, "account", "create", "north")
        subprocess.run(command, cwd=small_disk, env=environment({}), capture_output=True, check=True)
    before = sorted(small_disk.iterdir())
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    expect_a_sentence(serve(small_disk), "tracker.db")
    assert sorted(small_disk.iterdir()) == before


def test_a_folder_that_has_become_read_only_is_refused_with_a_sentence(
    tmp_path: Path, as_others: tuple[str, ...]
) -> None:
    """F06: the files may be written, but their logs cannot be made beside them."""
    folder = tmp_path / "data"
    folder.mkdir()
    command = (*TRACKER, "account", "create", "north")
    subprocess.run(command, cwd=folder, env=environment({}), capture_output=True, check=True)
    folder.chmod(0o555)
    expect_a_sentence(serve(folder, as_others), "tracker.db")


async def test_hits_are_accepted_while_nothing_can_be_opened_for_writing(
    tmp_path: Path, as_others: tuple[str, ...]
) -> None:
    """F06: somebody takes the right to write away: what is open goes on, a new worker cannot start and is started
    again until it can. Nothing is lost, and no restart is needed."""
    ledger = Ledger(outlived=True)
    async with Server(tmp_path / "data", program=(*as_others, *TRACKER)) as server:
        account = await server.create_account("north")
        mail, other = await make_mails(server, account, ledger, 2)
        async with Load(server, [account], ledger) as load:
            await load.grows(by=100)
            with read_only(server.folder):
                await load.grows(by=100)
                server.signal_worker(signal.SIGKILL)
                await until(lambda: refusals(server) >= _GAVE_UP_AGAIN, within_s=30, what="workers that give up")
                await server.health_when(lambda state: state["status"] == "degraded", within_s=10)
                async with Client(server.port, ledger) as reader:
                    await expect_led_on(server, reader, mail)
                    await expect_accepted(server, reader, account, mail)
                await load.grows(by=100)
            healed_s = await server.health_when(lambda state: state["status"] == "ok", within_s=60)
            async with Client(server.port, ledger) as reader:
                await expect_accepted(server, reader, account, other)
        print(f"healed {healed_s:.2f} s after all could be written again")
        await expect_nothing_lost(server, ledger)
        await expect_a_good_end(server)


def refusals(server: Server) -> int:
    """How often a worker has said in a sentence what it cannot write."""
    return server.log().count("the worker ends: cannot write ")
