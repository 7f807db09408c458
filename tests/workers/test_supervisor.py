"""The worker's process is started, started again when it dies, and ended with us."""

import asyncio
import os
import signal
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tests.workers.states import until
from tracker.workers.supervisor import Supervisor

pytestmark = pytest.mark.anyio

BEGINS = "import os, sys, time; open({file!r}, 'a').write(f'{{os.getpid()}} {{time.monotonic()}}\\n'); "
OBEYS = "sys.stdin.read(); open({file!r}, 'a').write('ended\\n')"
IGNORES = "[time.sleep(1) for _ in range(100)]"
DIES = "sys.exit(3)"


class Child:
    """A process that writes its number and the time into a file when it starts, and then does ``what``."""

    def __init__(self, folder: Path, what: str) -> None:
        self.file = folder / "started"
        self.command = (sys.executable, "-SEI", "-c", (BEGINS + what).format(file=str(self.file)))

    def lines(self) -> list[str]:
        return self.file.read_text().splitlines() if self.file.exists() else []

    def starts(self) -> list[tuple[int, float]]:
        """Process number and time of every start."""
        split = [line.split() for line in self.lines() if line != "ended"]
        return [(int(pid), float(at)) for pid, at in split]


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_worker_runs_as_long_as_it_is_wanted(tmp_path: Path) -> None:
    """It ends by itself when its standard input does, having finished what it was at."""
    child = Child(tmp_path, OBEYS)
    async with Supervisor(child.command, os.environ) as supervisor:
        await until(lambda: len(child.starts()) == 1)
        assert supervisor.alive()
        [(pid, _)] = child.starts()
        assert runs(pid)
        assert os.getpgid(pid) == os.getpgid(0)
    assert not runs(pid)
    assert child.lines()[1:] == ["ended"]
    assert not supervisor.alive()


async def test_killed_worker_is_started_again(tmp_path: Path) -> None:
    """Each time anew, and the last one ends with us."""
    child = Child(tmp_path, OBEYS)
    async with Supervisor(child.command, os.environ, first_pause_s=0.01) as supervisor:
        for starts in (1, 2, 3):
            await until(lambda starts=starts: len(child.starts()) == starts)  # type: ignore[misc]
            await until(supervisor.alive)
            if starts < 3:
                os.kill(child.starts()[-1][0], signal.SIGKILL)
    pids = [pid for pid, _ in child.starts()]
    assert len(set(pids)) == 3
    assert not any(map(runs, pids))
    assert child.lines()[3:] == ["ended"]


async def test_worker_that_dies_at_once_is_started_ever_more_slowly(tmp_path: Path) -> None:
    """Each pause is twice the one before: a broken worker takes no processor from readers."""
    child = Child(tmp_path, DIES)
    async with Supervisor(child.command, os.environ, first_pause_s=0.02) as supervisor:
        await until(lambda: len(child.starts()) >= 5)
        await until(lambda: not supervisor.alive())
    times = [at for _, at in child.starts()]
    gaps = [after - before for before, after in pairwise(times)]
    assert all(gap >= 0.02 * 2**number for number, gap in enumerate(gaps))


async def test_worker_that_does_not_end_is_killed(tmp_path: Path) -> None:
    """Its rest stays in the journal."""
    child = Child(tmp_path, IGNORES)
    async with Supervisor(child.command, os.environ, patience_s=0.05):
        await until(lambda: len(child.starts()) == 1)
    assert not runs(child.starts()[0][0])


async def test_worker_is_not_started_again_while_draining(tmp_path: Path) -> None:
    """A signal to the whole group ends it while the last requests are answered."""
    child = Child(tmp_path, OBEYS)
    async with Supervisor(child.command, os.environ, first_pause_s=0.01) as supervisor:
        await until(lambda: len(child.starts()) == 1)
        supervisor.drain()
        os.kill(child.starts()[0][0], signal.SIGTERM)
        await asyncio.wait_for(supervisor._task, 10)
        assert not supervisor.alive()
    assert len(child.starts()) == 1


async def test_worker_that_cannot_be_started_now_is_started_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A system out of processes or files, for a while, must not leave us without a worker for ever."""
    child = Child(tmp_path, OBEYS)
    program = tmp_path / "python"
    program.symlink_to(sys.executable)
    command = (str(program), *child.command[1:])
    async with Supervisor(command, os.environ, first_pause_s=0.01):
        await until(lambda: len(child.starts()) == 1)
        program.rename(tmp_path / "away")
        os.kill(child.starts()[0][0], signal.SIGKILL)
        await until(lambda: "cannot be started now" in caplog.text)
        (tmp_path / "away").rename(program)
        await until(lambda: len(child.starts()) == 2)


async def test_worker_that_cannot_be_started_at_all_is_an_error(tmp_path: Path) -> None:
    """At the start somebody looks, and reads which program it was."""
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        async with Supervisor([str(tmp_path / "no-such-program")], os.environ):
            pytest.fail("started")


async def test_worker_gets_its_own_environment(tmp_path: Path) -> None:
    """And nothing of ours that it was not given."""
    file = tmp_path / "environment"
    script = f"import os, sys; open({str(file)!r}, 'w').write(os.environ.get('GIVEN', '') + os.environ.get('HOME', ''))"
    async with Supervisor([sys.executable, "-SEI", "-c", script], {"GIVEN": "this"}, first_pause_s=60):
        await until(lambda: file.exists() and file.read_text() == "this")
