"""Whole lists from the command line, beside a running server and without one."""

import csv
import hashlib
import io
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from tests.cli.conftest import Ran, Run
from tests.server.harness import TRACKER, Account, Server, environment
from tracker.cli import list_calls, list_client
from tracker.cli.progress import Progress

Do = Callable[..., Ran]


@pytest.fixture(scope="module")
def portal() -> Iterator[BlockingPortal]:
    """Where the server is watched from, while commands run in the main thread, as signals want it."""
    with start_blocking_portal() as started:
        yield started


@pytest.fixture(scope="module")
def server(portal: BlockingPortal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that runs."""
    with portal.wrap_async_context_manager(Server(tmp_path_factory.mktemp("lists") / "here")) as started:
        yield started


@pytest.fixture
def operated(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of the running server."""
    monkeypatch.setenv("TRACKER_DATABASE_URL", f"sqlite:///{server.main}")
    monkeypatch.setenv("TRACKER_PORT", str(server.port))


@pytest.fixture
def create_account(run: Run, operated: None) -> Callable[[], Account]:
    """Makes a customer of it with an empty list."""

    def created() -> Account:
        made = run("account", "create", "Larkspur", "--json").json
        return Account(id=made["account"]["id"], authorization={"authorization": f"Bearer {made['api_key']}"})

    return created


@pytest.fixture
def account(create_account: Callable[[], Account]) -> Account:
    """One of them."""
    return create_account()


@pytest.fixture
def do(run: Run, account: Account) -> Do:
    """Runs a command about that customer's list."""

    def done(*arguments: str) -> Ran:
        return run(*arguments, "--account", account.id)

    return done


Reasons = Callable[..., list[str | None]]


@pytest.fixture
def reasons(portal: BlockingPortal, server: Server) -> Reasons:
    """Why each may not be written to, as a check says."""

    def checked(account: Account, *emails: str, of: Server = server) -> list[str | None]:
        body = json.dumps({"recipients": emails}).encode()
        headers = {**account.authorization, "content-type": "application/json"}
        answer = portal.call(lambda: of.ask("POST", "/v1/suppressions/check", headers=headers, body=body))
        return [entry["reason"] for entry in answer.json()["data"]]

    return checked


def keys_made(run: Run, account: Account) -> list[Any]:
    keys = run("key", "list", "--account", account.id, "--json").json["data"]
    return [key for key in keys if key["name"] == "tracker, for one command"]


def test_list_is_taken_in_beside_a_running_server(
    do: Do, run: Run, account: Account, folder: Path, reasons: Reasons
) -> None:
    """The next check knows it; the second run says already, and the keys made for it are gone again."""
    (folder / "list.csv").write_text("email;reason\nada@example.com;bounced\nbob@example.com;\n")
    ran = do("import", "list.csv", "--reason", "unsubscribed", "--json")
    assert ran.json == {"read": 2, "added": 2, "already": 0, "bad": 0, "errors": [], "errors_omitted": 0}
    assert ran.err == ""
    found = reasons(account, "ADA@example.com", "bob@example.com", "c@example.com")
    assert found == ["bounced", "unsubscribed", None]
    again = do("import", "list.csv", "--reason", "unsubscribed")
    assert (again.status, again.out) == (0, "Read 2 rows: 0 added, 2 there already, 0 bad.\n")
    made = keys_made(run, account)
    assert len(made) == 2
    assert all(key["revoked_at"] and key["scopes"] == ["suppressions:write"] for key in made)


def test_export_moves_a_list_to_another_account(
    do: Do, run: Run, create_account: Callable[[], Account], account: Account, folder: Path, reasons: Reasons
) -> None:
    """In both formats; the checks of the other account have the same answers."""
    (folder / "list.csv").write_text("email,reason,note\na@example.com,bounced,=1+1\nb@example.com,complained,\n")
    assert do("import", "list.csv", "--json").json["added"] == 2
    people = ("a@example.com", "b@example.com", "c@example.com")
    for name in ("out.csv", "out.ndjson"):
        assert do("export", name).status == 0
        other = create_account()
        assert run("import", name, "--account", other.id, "--json").json["added"] == 2
        assert reasons(other, *people) == reasons(account, *people) == ["bounced", "complained", None]


@pytest.mark.parametrize("most", [("_MOST_LINES", 100), ("_MOST_BYTES", 2_000), ("_MOST_LINES", 10_000)])
def test_bad_lines_are_told_by_the_numbers_of_the_file(
    do: Do, folder: Path, monkeypatch: pytest.MonkeyPatch, most: tuple[str, int]
) -> None:
    """Over many calls, those found here and those the server found; status 1, and the others are taken in."""
    monkeypatch.setattr(list_calls, *most)
    rows = [f"p{number}@example.com," for number in range(500)]
    rows[7], rows[300], rows[480] = "nobody,", '"open@example.com,', "p480@example.com,x,y,z"
    rows[400] = "nobody else,"
    rows[240] = 'p240@example.com,"two\nlines"'
    (folder / "list.csv").write_text("email,note\n" + "\n".join(rows))
    ran = do("import", "list.csv", "--errors", "bad.csv", "--json")
    assert ran.status == 1
    report = json.loads(ran.out)
    assert (report["read"], report["added"], report["bad"]) == (500, 496, 4)
    numbers = [9, 303, 403, 483]
    assert [error["line"] for error in report["errors"]] == numbers
    written = list(csv.DictReader(io.StringIO((folder / "bad.csv").read_text())))
    assert [int(row["line"]) for row in written] == numbers
    assert [row["detail"] for row in written] == [error["detail"] for error in report["errors"]]
    assert (folder / "bad.csv").stat().st_mode & 0o777 == 0o600
    said = do("import", "list.csv")
    assert (said.status, said.out) == (1, "Read 500 rows: 0 added, 496 there already, 4 bad.\n")
    assert said.err.splitlines()[:2] == ["Importing", "line 9: email: An address has an @ in it."]


def test_every_bad_line_is_told(do: Do, folder: Path) -> None:
    """Also beyond the thousand that one call of the API tells of; on the screen the first twenty."""
    (folder / "list.txt").write_text("good@example.com\n" + "nobody\n" * 2_500 + "last@example.com\n")
    ran = do("import", "list.txt", "--errors", "bad.csv")
    assert (ran.status, ran.out) == (1, "Read 2,502 rows: 2 added, 0 there already, 2,500 bad.\n")
    lines = (folder / "bad.csv").read_text().splitlines()[1:]
    assert [int(line.split('"')[1]) for line in lines] == list(range(2, 2_502))
    assert ran.err.splitlines()[-1] == "Every bad line is in bad.csv."
    shown = do("import", "list.txt").err.splitlines()
    assert len([line for line in shown if line.startswith("line ")]) == 20
    assert shown[-1] == "and 2,480 more: --errors FILE writes them all"


def test_export_is_the_list(do: Do, folder: Path) -> None:
    """By the ending of the file or by choice, for its owner's eyes; it comes home without a trace."""
    (folder / "list.ndjson").write_text(
        '{"email": "=ada@example.com", "note": "+1", "topic": "offers"}\n{"email": "bob@example.com"}\n'
    )
    assert do("import", "list.ndjson", "--json").json["added"] == 2
    for name, chosen in (("out.csv", ()), ("out.jsonl", ()), ("out.txt", ("--format", "ndjson"))):
        ran = do("export", name, *chosen, "--json")
        assert ran.json == {"file": name, "bytes": (folder / name).stat().st_size}
        assert (folder / name).stat().st_mode & 0o777 == 0o600
        again = do("import", name, *chosen, "--json")
        assert (again.json["already"], again.json["bad"]) == (2, 0), name
    assert '"\'=ada@example.com"' in (folder / "out.csv").read_text()
    assert do("export", "some.ndjson", "--topic", "offers").status == 0
    (row,) = (folder / "some.ndjson").read_text().splitlines()
    assert json.loads(row)["email"] == "=ada@example.com"
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_export_that_fails_leaves_the_file_as_it_was(do: Do, folder: Path) -> None:
    """And nothing beside it; a file that is there is replaced with --force alone."""
    (folder / "out.csv").write_text("precious")
    do("export", "out.csv").failed_with("out.csv is there already", "--force")
    ran = do("export", "out.csv", "--since", "yesterday", "--force", "--json")
    ran.failed_with("answers 422")
    assert [(path.name, path.read_text()) for path in folder.iterdir()] == [("out.csv", "precious")]
    assert do("export", "out.csv", "--force").status == 0
    assert (folder / "out.csv").read_text().startswith('"id"')
    do("export", "nowhere/out.csv").failed_with("cannot write beside nowhere/out.csv")
    do("import", "out.csv", "--errors", "/dev/full", "--json").failed_with("cannot write /dev/full: No space left")
    do("export", "/dev/null", "--force").failed_with("/dev/null is no regular file")


def command_of(server: Server, *arguments: str) -> dict[str, Any]:
    """What starts a command as a process beside the server."""
    settings = {"TRACKER_DATABASE_URL": f"sqlite:///{server.main}", "TRACKER_PORT": str(server.port)}
    return {"args": (*TRACKER, *arguments), "env": environment(settings)}


def test_streams_stand_in_for_files(server: Server, account: Account, reasons: Reasons) -> None:
    """What goes to standard output is the list alone, and whoever reads no more of it gets no traceback."""

    def piped(*arguments: str, given: bytes = b"") -> bytes:
        command = command_of(server, *arguments, "--account", account.id)
        ran = subprocess.run(**command, input=given, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
        out: bytes = ran.stdout
        return out

    digest = hashlib.sha256(b"ada@example.com").hexdigest().encode()
    assert json.loads(piped("import", "-", "--json", given=b"bob@example.com\n" + digest))["added"] == 2
    rows = [json.loads(row) for row in piped("export", "-", "--format", "ndjson").splitlines()]
    assert [row["email"] for row in rows] == [None, "bob@example.com"]
    assert reasons(account, "ada@example.com") == ["manual"]
    out, reader = os.pipe()[::-1]
    os.close(reader)
    command = command_of(server, "export", "-", "--account", account.id)
    broken = subprocess.run(**command, stdout=out, stderr=subprocess.PIPE, check=False)
    os.close(out)
    assert broken.returncode == 1
    assert b"Traceback" not in broken.stderr
    assert b"Exception" not in broken.stderr
    with Path("/dev/full").open("wb") as full:
        filled = subprocess.run(**command, stdout=full, stderr=subprocess.PIPE, check=False)
    assert filled.returncode == 1
    assert b"Error: cannot write to standard output: No space left on device\n" in filled.stderr
    assert b"Traceback" not in filled.stderr
    assert b"Exception" not in filled.stderr


def test_signal_ends_an_import_that_waits_for_its_input(
    server: Server, account: Account, run: Run, operated: None
) -> None:
    """In a sentence; the key that was made for it is revoked."""
    command = command_of(server, "import", "-", "--account", account.id)
    process = subprocess.Popen(**command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        while not keys_made(run, account):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 1
        _, said = process.communicate()
    finally:
        process.kill()
        process.communicate()
    assert said == b"Error: the import was stopped by SIGINT: run the command again\n"
    assert [key["revoked_at"] is not None for key in keys_made(run, account)] == [True]


def test_server_elsewhere_is_reached_with_a_key(
    run: Run, server: Server, account: Account, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without any database here."""
    monkeypatch.delenv("TRACKER_DATABASE_URL")
    monkeypatch.delenv("TRACKER_PORT")
    (folder / "list.txt").write_text("ada@example.com\n")
    url = f"http://127.0.0.1:{server.port}"
    monkeypatch.setenv("TRACKER_API_KEY", account.authorization["authorization"].removeprefix("Bearer "))
    assert run("import", "list.txt", "--url", url, "--json").json["added"] == 1
    assert run("export", "out.csv", "--url", url).status == 0
    assert "ada@example.com" in (folder / "out.csv").read_text()
    assert sorted(path.name for path in folder.iterdir()) == ["list.txt", "out.csv"]
    monkeypatch.setenv("TRACKER_API_KEY", f"trk_{'0' * 16}_{'x' * 43}")
    run("import", "list.txt", "--url", url, "--json").failed_with("does not know this key")
    monkeypatch.setenv("TRACKER_API_KEY", "secret")
    run("import", "list.txt", "--url", url, "--json").failed_with("TRACKER_API_KEY holds no API key")


@pytest.mark.fault
def test_server_that_is_killed_is_waited_for(
    portal: BlockingPortal, tmp_path: Path, folder: Path, reasons: Reasons
) -> None:
    """Between two calls of an import: the list is there as a whole, and nothing of it twice."""
    server = Server(tmp_path / "killed")
    with portal.wrap_async_context_manager(server):
        account = portal.call(server.create_account, "Larkspur")
        command = command_of(server, "import", "-", "--account", account.id, "--json")
        process = subprocess.Popen(**command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            assert process.stdin is not None
            process.stdin.write(b"".join(b"p%d@example.com\n" % number for number in range(11_000)))
            process.stdin.flush()
            while reasons(account, "p9999@example.com", of=server) == [None]:
                assert process.poll() is None
                time.sleep(0.02)
            portal.call(lambda: server.kill())
            out, _ = process.communicate(b"last@example.com\n", timeout=1)
        except subprocess.TimeoutExpired:
            portal.call(server.start)
            out, _ = process.communicate(timeout=60)
        finally:
            process.kill()
            process.wait()
        assert process.returncode == 0
        assert json.loads(out)["added"] == 11_001
        assert reasons(account, "p10999@example.com", "last@example.com", of=server) == ["manual", "manual"]


class Busy(BaseHTTPRequestHandler):
    """Answers as the API does when it is busy, and then as it does when it is done."""

    answers: Sequence[tuple[int, dict[str, str]]] = ()
    bodies: ClassVar[list[bytes]]
    keys: ClassVar[list[str]]

    def do_POST(self) -> None:
        status, headers = self.answers[len(self.bodies)]
        self.bodies.append(self.rfile.read(int(self.headers["content-length"])))
        self.keys.append(self.headers["idempotency-key"])
        answer = b'{"read": 1, "added": 1, "already": 0, "bad": 0, "errors": [], "errors_omitted": 0}'
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(answer))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Says nothing."""


@pytest.fixture
def busy() -> Iterator[tuple[type[Busy], str]]:
    """Such a server, and where it is."""

    class Handler(Busy):
        bodies: ClassVar[list[bytes]] = []
        keys: ClassVar[list[str]] = []

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = Thread(target=http.serve_forever)
        thread.start()
        yield Handler, f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def test_busy_server_is_asked_again(
    run: Run, busy: tuple[type[Busy], str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After as long as it says, with the same rows under the same key; not for ever."""
    handler, url = busy
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(list_client, "_wait", wait)
    monkeypatch.setenv("TRACKER_API_KEY", f"trk_{'0' * 16}_{'x' * 43}")
    (folder / "list.txt").write_text("ada@example.com\n")
    first = [(429, {"Retry-After": "7"}), (503, {}), (409, {"Retry-After": "1"}), (200, {})]
    handler.answers = [*first, (429, {"Retry-After": "3600"})]
    assert run("import", "list.txt", "--url", url, "--json").json["added"] == 1
    assert waits == [7.0, 1.0, 2.0]
    assert len(handler.bodies) == 4
    assert len(set(handler.bodies)) == len(set(handler.keys)) == 1
    run("import", "list.txt", "--url", url, "--json").failed_with("it answers 429", "run the command again")
    assert len(waits) == 3
    assert len(set(handler.keys)) == 2


def test_without_a_server_one_is_started_for_the_time(run: Run, folder: Path) -> None:
    """It serves the operator's own database, and nothing is left of it but the list."""
    account = run("account", "create", "Larkspur", "--json").json["account"]["id"]
    before = {path.name for path in folder.iterdir()}
    (folder / "list.txt").write_text("ada@example.com\n")
    assert run("import", "list.txt", "--account", account, "--json").json["added"] == 1
    ran = run("export", "out.ndjson", "--account", account, "--json")
    assert ran.status == 0, ran
    assert json.loads((folder / "out.ndjson").read_text())["email"] == "ada@example.com"
    left = {path.name for path in folder.iterdir()} - before
    assert {name for name in left if not name.endswith((".lock", "-wal", "-shm"))} == {"list.txt", "out.ndjson"}


def test_what_cannot_be_done_is_said(do: Do, run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one sentence that says what to do."""
    (folder / "list.txt").write_text("ada@example.com\n")
    (folder / "latin.csv").write_bytes("email\njosé@example.com\n".encode("latin-1"))
    (folder / "columns.csv").write_text("name,first\nx,y\n")
    do("import", "latin.csv", "--json").failed_with("latin.csv: line 2 is not text in UTF-8")
    do("import", "columns.csv", "--json").failed_with("columns.csv: line 1 must name the columns")
    same = do("import", "list.txt", "--errors", "./list.txt")
    assert (same.status, "names the file that is imported" in same.err) == (2, True)
    assert (folder / "list.txt").read_text() == "ada@example.com\n"
    run("import", "list.txt", "--account", "0" * 16, "--json").failed_with(f"there is no account {'0' * 16}")
    for arguments, word in (
        ((), "say whose list: --account ID"),
        (("--account", "x"), "not an account's id"),
        (("--url", "t.example.com"), "must begin with https://"),
        (("--url", "http://"), "is no address of a server"),
        (("--url", "http://127.0.0.1:99999"), "is no address of a server"),
    ):
        ran = run("import", "list.txt", *arguments)
        assert (ran.status, word in ran.err) == (2, True), ran
    monkeypatch.setenv("TRACKER_PORT", "9")
    for command in (("import", "list.txt", "--json"), ("export", "out.csv")):
        do(*command).failed_with("http://127.0.0.1:9 cannot be asked now", "--url")
    monkeypatch.setenv("TRACKER_PORT", "0")
    do("export", "out.csv").failed_with("TRACKER_PORT is 0")


def test_long_work_says_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal a line now and then, on standard error."""
    with Progress(quiet=False, line_every=10_000_000) as progress:
        for done in range(1, 26):
            progress.tell("importing", done * 1_000_000, 25_000_000)
    lines = ["Importing (25.0 MB)", "Importing: 10.0 of 25.0 MB", "Importing: 20.0 of 25.0 MB"]
    assert capsys.readouterr() == ("", "".join(f"{line}\n" for line in lines))
