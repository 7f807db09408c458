"""The demo as a newcomer runs it: real processes, a real port, and nothing left behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.shared_data import shared

PROJECT = Path(__file__).parents[2]
PATIENCE_S = 60

MAIL = """\
From: Marigold Books <letters@marigold.example.com>
Subject: The autumn list
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary="parts"

--parts
Content-Type: text/plain; charset=utf-8

See https://marigold.example.com/list
--parts
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: quoted-printable

<html><body><p><a href=3D"https://marigold.example.com/list?a=3D1&amp;b=3D2#top=
">The list</a></p></body></html>
--parts--
"""


def environment(folder: Path) -> dict[str, str]:
    """Ours with temporary files in ``folder``, and with settings of a server the demo must know nothing of."""
    places = [str(PROJECT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, places)),
        "TMPDIR": str(folder),
        "TRACKER_DATABASE_URL": "postgresql://elsewhere/",
        "TRACKER_SECRET_KEYS": "nonsense",
        "TRACKER_BASE_URL": "https://t.example.com",
        "HTTP_PROXY": "http://127.0.0.1:9/",
        "http_proxy": "http://127.0.0.1:9/",
    }


def command(*arguments: str) -> Sequence[str]:
    return (sys.executable, "-m", "tracker", "demo", *arguments)


def demo(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return subprocess.run(
        command(*arguments), env=environment(folder), capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A demo whose story has ended; ``said`` is its answer in JSON."""

    process: subprocess.Popen[str]
    said: dict[str, Any]

    def ask(self, path: str) -> tuple[int, Any]:
        """Raises ``OSError`` when nobody listens."""
        request = urllib.request.Request(
            f"{self.said['address']}{path}", headers={"Authorization": f"Bearer {self.said['api_key']}"}
        )
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(request, timeout=10) as answer:
            return answer.status, json.load(answer)

    def server(self) -> int:
        """The process id of its server."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return int(children.split()[0])


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[Running]:
    """A demo in a process group of its own, which is gone afterwards in any case."""
    process = subprocess.Popen(
        command("--port", "0", "--json", *arguments),
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.stderr and process.stderr.read()
        yield Running(process=process, said=json.loads(line))
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_the_story_is_told_in_plain_lines_and_leaves_nothing(tmp_path: Path) -> None:
    """Without a terminal there is no colour; the settings of another server do not matter; the folder is gone."""
    done = demo(tmp_path, "--once", "--port", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("All 13 steps had the result they claim.\n")
    assert "dora@example.com  no       unsubscribed  account" in done.stdout
    assert "409  recipient-suppressed" in done.stdout
    assert "no: merge tag" in done.stdout
    assert "6   unsubscribed    Dora    human" in done.stdout
    assert "FAILED" not in done.stdout
    assert not set(done.stdout) & set("\x1b\r")
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_a_mail_is_told_in_json(tmp_path: Path) -> None:
    """Of an .eml the HTML part is taken; standard output holds one JSON document and nothing else."""
    (tmp_path / "letter.eml").write_text(MAIL)
    done = demo(tmp_path, str(tmp_path / "letter.eml"), "--once", "--port", "0", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    said = json.loads(done.stdout)
    assert said["ok"] is True
    assert [step["ok"] for step in said["steps"]] == [True] * 13
    assert [link["url"] for link in said["links"]] == ["https://marigold.example.com/list?a=1&b=2#top"]
    assert [event["sequence"] for event in said["events"]] == [1, 2, 3, 4, 5, 6]
    assert [one["allowed"] for one in said["suppressions"]] == [True, True, True, False]


def test_what_is_kept_can_be_served_again(tmp_path: Path) -> None:
    """A page without links has a story too; --keep leaves its database, and says how to serve it."""
    page, kept = tmp_path / "hello.html", tmp_path / "kept"
    page.write_text("<p>Hello</p>")
    done = demo(tmp_path, str(page), "--once", "--port", "0", "--keep", str(kept))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "so nobody clicks in this story" in done.stdout
    assert "All 10 steps" in done.stdout
    assert {"tracker.db", "tracker.db.inbox", "tracker.db.keys", "server.log"} <= {path.name for path in kept.iterdir()}
    assert f"TRACKER_DATABASE_URL=sqlite:///{kept}/tracker.db" in done.stdout.splitlines()[-1]
    assert " serve --port " in done.stdout.splitlines()[-1]


def test_a_folder_with_something_in_it_is_not_kept_in(tmp_path: Path) -> None:
    """Nothing of anybody's is overwritten."""
    (tmp_path / "mine.txt").write_text("mine")
    done = demo(tmp_path, "--once", "--port", "0", "--keep", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == f"Error: {tmp_path} is not empty: name a new folder after --keep, or an empty one\n"


def test_a_taken_port_is_an_error_that_names_it(tmp_path: Path) -> None:
    """And says how to choose another."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = demo(tmp_path, "--port", str(port))
    assert (done.returncode, done.stdout) == (1, "")
    assert f"port {port}: Address already in use" in done.stderr
    assert "--port" in done.stderr


def test_a_file_that_is_no_newsletter_is_an_error(tmp_path: Path) -> None:
    """One sentence, before anything is started."""
    done = demo(tmp_path, str(tmp_path / "missing.html"), "--once", "--port", "0")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"Error: cannot read {tmp_path}/missing.html: No such file or directory\n"


@pytest.mark.parametrize("send", [os.kill, os.killpg], ids=["itself", "its group"])
def test_after_the_story_it_serves_until_sigterm(tmp_path: Path, send: Callable[[int, int], None]) -> None:
    """It ends with status 0, its server and its folder, sooner than a server that does not would be killed."""
    with running(tmp_path) as demo:
        status, feed = demo.ask("/v1/events/feed?after=0")
        assert (status, len(feed["data"])) == (200, 6)
        assert demo.ask("/readyz")[0] == 200
        began = time.monotonic()
        send(demo.process.pid, signal.SIGTERM)
        assert demo.process.wait(PATIENCE_S) == 0
        assert time.monotonic() - began < 8
        with pytest.raises(OSError, match="refused"):
            demo.ask("/readyz")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: the server is found in /proc")
def test_a_server_that_dies_ends_the_demo_with_an_error(tmp_path: Path) -> None:
    """It says so, and what the server said last."""
    with running(tmp_path) as demo:
        os.kill(demo.server(), signal.SIGKILL)
        _, error = demo.process.communicate(timeout=PATIENCE_S)
        assert demo.process.returncode == 1
    assert error.startswith("Error: the server ended by itself, with status -9. The end of its log:")


@pytest.mark.parametrize(
    "name",
    ["html/cerberus/cerberus-hybrid.html", "eml/ruby_mail/plain_emails__raw_email_bad_time.eml"],
)
def test_the_story_holds_for_real_mails(tmp_path: Path, name: str) -> None:
    """Newsletters of others, as they are."""
    done = demo(tmp_path, str(shared(name)), "--once", "--port", "0")
    assert done.returncode == 0, done.stdout + done.stderr
