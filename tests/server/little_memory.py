"""A control group of the kernel with little memory: whoever takes more is killed."""

import os
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.server.harness import until

_V1, _V2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")


class LittleMemory(NamedTuple):
    """A group of processes, and the names of its files."""

    folder: Path
    limit: str
    swap: str
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
        """Set the limit, in bytes; what lies above it is taken back, or somebody is killed."""
        (self.folder / self.limit).write_text(str(number))


@contextmanager
def little_memory(number: int) -> Iterator[LittleMemory]:
    """A group that may use so many bytes, files it has read included. Skips the test where none can be made."""
    name = f"tracker-{os.getpid()}-{os.urandom(4).hex()}"
    if (_V1 / "memory.limit_in_bytes").exists():
        group = LittleMemory(_V1 / name, "memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.oom_control")
    else:
        group = LittleMemory(_V2 / name, "memory.max", "memory.swap.max", "memory.events")
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


async def next_kill(group: LittleMemory, *, within_s: float) -> None:
    """Wait until the kernel has killed one more."""
    before = group.killed()
    await until(lambda: group.killed() > before, within_s=within_s, what="a kill for memory")
