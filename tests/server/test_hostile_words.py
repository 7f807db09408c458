"""What customers and strangers may write reaches a real browser as words, never as markup."""

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from tests.server.harness import Account, Server

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.anyio]

ATTACKS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "'><iframe srcdoc='<script>alert(1)</script>'>",
    "</title></style></textarea><script>alert(1)</script>",
    '<a href="javascript:alert(1)">x</a>',
    "<style>body{background:url(https://evil.example/)}</style>",
    "<meta http-equiv=refresh content='0;url=https://evil.example/'>",
    "<base href=https://evil.example/>",
    "{{7*7}}{%print(7*7)%}${7*7}",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "<ſcript>alert(1)</ſcript>",
)

_WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", event => window.violations.push(event.violatedDirective));
"""


@asynccontextmanager
async def _looking(seen: list[str]) -> AsyncIterator["Page"]:
    """A page that writes down every dialog, and every request and complaint about another host."""
    api = pytest.importorskip("playwright.async_api", reason="install what .ci/browser.lock names")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium on the PATH")
    async with api.async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = await browser.new_page()
        await page.add_init_script(_WATCH)

        async def dismiss(dialog: Any) -> None:
            seen.append(f"dialog on {page.url}: {dialog.message}")
            await dialog.dismiss()

        page.on("dialog", dismiss)
        page.on("console", lambda said: seen.append(said.text) if "Content Security Policy" in said.text else None)
        page.on("request", lambda asked: seen.append(asked.url) if "127.0.0.1" not in asked.url else None)
        yield page
        await browser.close()


async def _make(server: Server, account: Account, attack: str) -> dict[str, str]:
    """A message whose every word is hostile; its URLs on the server's own port."""
    words = attack.replace("/", "∕")
    wanted = {
        "campaign": words,
        "topic": words,
        "recipient": {"email": "ada@example.com", "external_id": attack},
        "html": f'<a href="https://shop.example/?q={quote(attack)}">x</a>',
        "metadata": {"words": attack},
    }
    answer = await server.ask("POST", "/v1/messages", headers=account.authorization, body=json.dumps(wanted).encode())
    assert answer.status == 201, answer
    made: dict[str, Any] = answer.json()
    here = f"http://127.0.0.1:{server.port}"
    return {name: url.replace("http://127.0.0.1:8000", here) for name, url in made.items() if name.endswith("_url")}


async def _visit(page: "Page", *urls: str) -> list[str]:
    """What the pages' own policies complain about."""
    broken = []
    for url in urls:
        await page.goto(url)
        broken += [f"{url}: {directive}" for directive in await page.evaluate("window.violations")]
    return broken


async def _opt_out_and_back(page: "Page", made: dict[str, str], name: str) -> list[str]:
    """Every page a person meets who leaves and returns; the sender's name stands on the first as it is written."""
    broken = await _visit(page, made["unsubscribe_url"])
    assert name in " ".join((await page.inner_text("main")).split())
    for button in ("Unsubscribe", "Undo"):
        await page.get_by_role("button", name=button).first.click()
        await page.wait_for_load_state()
        broken += await page.evaluate("window.violations")
    return broken + await _visit(page, made["preferences_url"])


async def test_hostile_words_run_nothing_in_a_browser(tmp_path: Path) -> None:
    """B-16: no dialog, no request to another host, no complaint of the policy, on any page."""
    seen: list[str] = []
    broken: list[str] = []
    async with Server(tmp_path / "data") as server, _looking(seen) as page:
        base = f"http://127.0.0.1:{server.port}"
        for attack in ATTACKS:
            account = await server.create_account(attack)
            made = await _make(server, account, attack)
            broken += await _opt_out_and_back(page, made, " ".join(attack.split()))
            word = quote(attack, safe="")
            paths = (word, f"c/{word}", f"u/{word}", f"p/{word}", f"problems/{word}", f"?q={word}", f"docs?q={word}")
            broken += await _visit(page, *(f"{base}/{path}" for path in paths))
    assert broken == []
    assert seen == []


async def test_page_that_runs_them_would_be_caught(tmp_path: Path) -> None:
    """B-16: the browser of this test does run scripts and report on policies."""
    seen: list[str] = []
    policy = '<meta http-equiv="Content-Security-Policy" content="style-src \'none\'">'
    async with _looking(seen) as page:
        await page.set_content("<script>alert(1)</script>")
        await page.goto(f"data:text/html,{quote(policy + '<style>p {}</style>')}")
        assert await page.evaluate("window.violations") == ["style-src-elem"]
    assert any("dialog" in what for what in seen)
