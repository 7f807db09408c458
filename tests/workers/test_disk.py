"""Room on the disk, without waiting for one that hangs."""

import threading
import time
from pathlib import Path

import pytest

from tracker.workers.disk import Disk

pytestmark = pytest.mark.anyio


async def test_look_sees_sizes_and_what_is_free(tmp_path: Path) -> None:
    """A file that is not there has none; a log comes and goes."""
    (tmp_path / "one").write_bytes(b"x" * 1_000)
    disk = Disk({"one": tmp_path / "one", "other": tmp_path / "other"}, patience_s=10)
    await disk.look()
    assert disk.space is not None
    assert disk.space.files == {"one": 1_000, "other": 0}
    assert 0 < disk.space.free <= disk.space.total
    (tmp_path / "other").write_bytes(b"x")
    await disk.look()
    assert disk.space.files["other"] == 1


async def test_folder_that_is_gone_is_no_error(tmp_path: Path) -> None:
    """Nothing is known then."""
    disk = Disk({"one": tmp_path / "gone" / "one"}, patience_s=10)
    await disk.look()
    assert disk.space is None


async def test_disk_that_hangs_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often one looks there is one thread that waits, and an answer that comes late counts again."""
    disk, hanging, looks = Disk({"one": tmp_path / "one"}, patience_s=0.02), threading.Event(), []
    measure = disk._measure

    def slowly() -> object:
        looks.append(1)
        hanging.wait(30)
        return measure()

    monkeypatch.setattr(disk, "_measure", slowly)
    began = time.monotonic()
    for _ in range(3):
        await disk.look()
        assert disk.space is None
    assert time.monotonic() - began < 5
    assert len(looks) == 1
    hanging.set()
    disk._patience_s = 10
    await disk.look()
    assert disk.space is not None
