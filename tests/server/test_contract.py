"""The running server keeps to what its own OpenAPI document says, whatever it is sent."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.server.harness import Account, Server, environment

pytestmark = [pytest.mark.anyio, pytest.mark.fault]

SHORT = ("--max-examples=4", "--seed=1", "--suppress-health-check=all")
LONG = ("--max-time=600",)
REVOKES = "revoke_key"

SCHEMATHESIS = Path(sys.executable).with_name("st")
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
LISTS = {"SCHEMATHESIS_HOOKS": "tests.server.schemathesis_lists"}


async def contradictions(server: Server, account: Account, folder: Path, *options: str) -> str:
    """What schemathesis finds, by all of its checks; nothing when it is content."""
    url = f"http://127.0.0.1:{server.port}"
    key = f"Authorization: {account.authorization['authorization']}"
    program = (str(SCHEMATHESIS), "--config-file", str(CONFIGURATION), "run")
    command = (*program, f"{url}/openapi.json", "--url", url, "--header", key, *options)
    # It leaves what it found in the folder it runs in.
    run = await asyncio.to_thread(
        subprocess.run, command, cwd=folder, env=environment(LISTS), capture_output=True, text=True
    )
    assert "Tested:" in run.stdout, run
    return "" if run.returncode == 0 else run.stdout


@pytest.fixture
async def server(tmp_path: Path) -> Any:
    """A server of its own."""
    async with Server(tmp_path / "data") as server:
        yield server


@pytest.mark.parametrize("options", [SHORT, pytest.param(LONG, marks=pytest.mark.long)], ids=["short", "long"])
async def test_answers_are_those_of_the_document(server: Server, tmp_path: Path, options: tuple[str, ...]) -> None:
    """No 5xx, no status, header, content type or body that is not documented, and nothing taken that is ruled out."""
    if not SCHEMATHESIS.exists():
        pytest.skip("install the extra 'browser' to try the API by its document")
    account = await server.create_account("north")
    # Whoever follows links from the list of keys finds the key in use: what revokes it is tried with made-up ids alone.
    followed = (f"--exclude-operation-id={REVOKES}", *options)
    made_up = (f"--include-operation-id={REVOKES}", "--phases=examples,coverage,fuzzing", *SHORT)
    for chosen in (followed, made_up):
        assert await contradictions(server, account, tmp_path, *chosen) == ""
    imports = await server.ask("GET", "/v1/audit?action=suppressions.imported", headers=account.authorization)
    assert imports.json()["data"], "no row of a list was taken in"
    # Otherwise all that was tried would have been how a dead key is refused.
    assert (await server.ask("GET", "/v1/topics", headers=account.authorization)).status == 200
    assert "a request failed" not in server.log()


async def test_document_is_valid(server: Server) -> None:
    """By the schema of OpenAPI 3.1, and with no reference that leads nowhere."""
    validator = pytest.importorskip("openapi_spec_validator", reason="install the extra 'browser' to check it")
    answer = await server.ask("GET", "/openapi.json")
    validator.validate(answer.json(), cls=validator.OpenAPIV31SpecValidator)
