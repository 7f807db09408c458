"""What the tests of real processes stand on."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """The clients are asyncio's."""
    return "asyncio"


@pytest.fixture(autouse=True)
def _with_processes_to_look_at() -> None:
    if sys.platform != "linux":
        pytest.skip("needs Linux: processes are found in /proc")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of its own, of 48 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount a small disk to fill, which needs root: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def as_others() -> tuple[str, ...]:
    """What to put before a command so that it may write only what it is allowed to: root may write everywhere."""
    if os.geteuid() != 0:
        return ()
    prefix = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
    if shutil.which(prefix[0]) is None or subprocess.run((*prefix, "true"), capture_output=True).returncode != 0:
        pytest.skip("root may write everywhere, and setpriv cannot take that right away here")
    return prefix
