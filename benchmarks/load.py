"""Loads a server with wrk, and reads its report."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

_SCRIPT = """
local paths, next = {{}}, 0
for line in io.lines("{paths}") do paths[#paths + 1] = line end
request = function()
  next = next % #paths + 1
  return wrk.format("GET", paths[next])
end
done = function(summary, latency)
  io.write(string.format("requests=%d us=%d p50=%d p99=%d bad=%d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), summary.errors.status + summary.errors.read
    + summary.errors.write + summary.errors.timeout + summary.errors.connect))
end
"""


class Report(NamedTuple):
    """What wrk saw. Latencies are milliseconds."""

    requests: int
    per_second: float
    p50_ms: float
    p99_ms: float
    bad: int


def load(origin: str, paths: list[str], folder: Path, *, seconds: int, connections: int = 64) -> Report:
    """Ask for the paths in turn for some seconds, on this many connections."""
    if shutil.which("wrk") is None:
        sys.exit("this benchmark needs wrk: apt-get install wrk")
    (folder / "paths.txt").write_text("\n".join(paths) + "\n")
    script = folder / "load.lua"
    script.write_text(_SCRIPT.format(paths=folder / "paths.txt"))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), origin]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"requests=(\d+) us=(\d+) p50=(\d+) p99=(\d+) bad=(\d+)", output)
    if found is None:
        sys.exit(f"wrk said nothing to be read:\n{output}")
    requests, microseconds, p50, p99, bad = map(int, found.groups())
    return Report(requests, requests / (microseconds / 1e6), p50 / 1000, p99 / 1000, bad)
