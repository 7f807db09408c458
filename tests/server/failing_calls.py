"""Makes calls of a running process fail as a disk does that breaks."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.server.harness import until
from tests.server.recording import need_strace


@asynccontextmanager
async def failing(process: int, call: str, *files: Path, error: str = "EIO") -> AsyncIterator[None]:
    """As long as it is entered, every ``call`` of the process on these files is refused with this error."""
    need_strace()
    noise = files[0].parent.with_name(f"strace-{process}-{os.urandom(4).hex()}.out")
    on_files = [part for file in files for part in ("-P", str(file))]
    inject = ("-e", f"trace={call}", "-e", f"inject={call}:error={error}")
    with noise.open("wb") as output:
        command = ("strace", "-f", "-p", str(process), *on_files, *inject)
        tracer = await asyncio.create_subprocess_exec(*command, stderr=output)
    try:
        await until(lambda: b"attached" in noise.read_bytes(), within_s=10, what="strace at work")
        yield
    finally:
        tracer.terminate()
        await tracer.wait()
