"""A time of day that a test sets for the server alone: libfaketime reads it from a file, once a second."""

import asyncio
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from tests.server.harness import Server

_LIBRARY = "faketime/libfaketimeMT.so.1"
_PLACES = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib", "/usr/lib64", "/usr/local/lib")

_CLOSE_S = 60


class WallClock:
    """The real time of day and so many seconds; the clock that only counts stays as it is."""

    def __init__(self, file: Path) -> None:
        found = [place for place in _PLACES if Path(place, _LIBRARY).exists()]
        if not found:
            pytest.skip("needs libfaketime")
        self._file = file
        self._set(0)
        self.settings: Mapping[str, str] = {
            "LD_PRELOAD": str(Path(found[0], _LIBRARY)),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_CACHE_DURATION": "1",
        }
        """What the server needs in its environment."""

    async def jump(self, server: Server, seconds: int) -> None:
        """Set it, so many seconds from the real time, and wait until the server has noticed."""
        self._set(seconds)
        deadline = time.monotonic() + 10
        while abs(await _ahead_s(server) - seconds) > _CLOSE_S:
            assert time.monotonic() < deadline, "the server does not notice its clock"
            await asyncio.sleep(0.05)

    def _set(self, seconds: int) -> None:
        aside = self._file.with_suffix(".new")
        aside.write_text(f"{seconds:+d}\n")
        aside.replace(self._file)


async def _ahead_s(server: Server) -> float:
    answer = await server.ask("GET", "/livez")
    return parsedate_to_datetime(answer.headers["date"]).timestamp() - time.time()
