"""A control group of the kernel with little memory: whoever takes more is killed."""

import asyncio
import contextlib
import os
import shlex
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

_V1, _V2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
_LESS, _LESS_AFTER_S = 8 << 20, 0.1
_KILLED_WITHIN_S = 60.0


class LittleMemory(NamedTuple):
    """A group of processes, and the names of its files."""

    folder: Path
    limit: str
    kills: str

    def around(self, program: Sequence[str]) -> tuple[str, ...]:
        """The program, to be started within the group, together with all it starts."""
        script = f'echo $$ > {shlex.quote(str(self.folder / "cgroup.procs"))} && exec "$0" "$@"'
        return ("sh", "-c", script, *program)

    def killed(self) -> int:
        """How many processes the kernel has killed for memory."""
        lines = (self.folder / self.kills).read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))

    def allow(self, number: int) -> None:
        """Set the limit, in bytes. Raises ``OSError`` where so much is in use that the kernel will not."""
        (self.folder / self.limit).write_text(str(number))

    async def until_one_is_killed(self, most: int) -> None:
        """Leave less and less memory until the kernel kills somebody, and then as much as before."""
        allowed, before, deadline = most, self.killed(), time.monotonic() + _KILLED_WITHIN_S
        while self.killed() == before:
            assert time.monotonic() < deadline, f"nobody was killed, with {allowed:,} bytes of memory"
            with contextlib.suppress(OSError):
                # Refused while more than that is in use, and then whoever wants more is killed.
                self.allow(allowed - _LESS)
                allowed -= _LESS
            await asyncio.sleep(_LESS_AFTER_S)
        self.allow(most)


@contextmanager
def little_memory(number: int) -> Iterator[LittleMemory]:
    """A group that may use so many bytes, files it has read included. Skips the test where none can be made."""
    name = f"tracker-{os.getpid()}-{os.urandom(4).hex()}"
    if (_V1 / "memory.limit_in_bytes").exists():
        group = LittleMemory(_V1 / name, "memory.limit_in_bytes", "memory.oom_control")
    else:
        group = LittleMemory(_V2 / name, "memory.max", "memory.events")
    try:
        group.folder.mkdir()
        group.allow(number)
        group.killed()
    except OSError as error:
        if group.folder.exists():
            group.folder.rmdir()
        pytest.skip(f"cannot make a control group with little memory: {error}")
    try:
        yield group
    finally:
        # It can go once its last process has been waited for.
        subprocess.run(
            ["sh", "-c", f"for i in $(seq 50); do rmdir {group.folder} 2>/dev/null && exit; sleep 0.1; done; exit 1"],
            check=True,
        )
