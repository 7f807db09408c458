"""Whole mails through the API: nothing but links changes, and every link leads where it led."""

import html
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import ada_url
import anyio
import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.shared_data import shared
from tracker.app import create_app
from tracker.domain.keys import Keyring
from tracker.settings import Settings
from tracker.storage.accounts import Accounts
from tracker.storage.installation import files_of, prepare

BASE_URL = "https://t.example.com"
CLICK = re.compile(re.escape(f"{BASE_URL}/c/") + r"[\w.-]+")
PIXEL = re.compile(r'<img src="https://t\.example\.com/o/[\w.-]+\.gif" width="1" height="1" alt="">')


class Mailer(NamedTuple):
    """A mailer's end of the API."""

    client: httpx.AsyncClient

    async def make(self, content: str) -> dict[str, Any]:
        wanted = {"campaign": "mails", "recipient": {"email": "ada@example.com"}, "html": content}
        answer = await self.client.post("/v1/messages", json=wanted)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def where(self, url: str) -> str:
        answer = await self.client.head(url.removeprefix(BASE_URL))
        assert answer.status_code == 302
        return answer.headers["location"]


@asynccontextmanager
async def mailer(folder: Path) -> AsyncIterator[Mailer]:
    options = Settings(database_url=f"sqlite:///{folder}/t.db", base_url=BASE_URL, worker="inline")
    files = files_of(options.database_url)
    keyring: Keyring = (await prepare(files, None)).keyring
    async with files.main_database() as database:
        _, key = await Accounts(database).create("Mailer")
    app = create_app(options, keyring)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url=BASE_URL, headers={"Authorization": f"Bearer {key}"}
        ) as client,
    ):
        yield Mailer(client)


async def check_mail(to: Mailer, content: str) -> int:
    """Hold every promise about one mail, and give the number of its tracked links.

    What stood where a link of ours stands now is found by laying the rest over the original: so nothing here
    relies on the scanner that made the mail.
    """
    made = await to.make(content)
    assert made["html"].count(made["open_url"]) == 1
    without_pixel, pixels = PIXEL.subn("", made["html"])
    assert pixels == 1
    tracked = [link for link in made["links"] if link["tracked"]]
    originals = lay_over(CLICK.split(without_pixel), content)
    assert len(originals) == len(tracked)
    for url, link, original in zip(CLICK.findall(without_pixel), tracked, originals, strict=True):
        opened = ada_url.URL(decoded(original)).href
        assert link["url"] == opened
        assert await to.where(url) == opened
    return len(tracked)


def lay_over(pieces: list[str], original: str) -> list[str]:
    """The parts of the original that stand between the pieces; everything else must be identical."""
    pattern = "(.*?)".join(re.escape(piece) for piece in pieces)
    match = re.fullmatch(pattern, original, re.DOTALL)
    assert match, "a byte outside the links has changed"
    return list(match.groups())


def decoded(value: str) -> str:
    """Character references as the browser's own table has them; in an attribute "&copy=" stays."""
    return re.sub(
        r"&(?:#\d+;?|#[xX][\da-fA-F]+;?|[A-Za-z][A-Za-z0-9]*;|[A-Za-z][A-Za-z0-9]*(?![A-Za-z0-9=]))",
        lambda found: html.unescape(found[0]),
        value,
    )


def read_mail(path: Path) -> str:
    raw = path.read_bytes()
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def test_real_mails_keep_every_byte_and_every_link_leads_where_it_led(tmp_path: Path) -> None:
    """Promises 1 and 10, on mails that people send."""
    mails = sorted(path for path in shared("html").rglob("*") if path.suffix in (".html", ".htm"))
    index = [json.loads(line) for line in (shared("html") / "INDEX.jsonl").read_text().splitlines()]
    assert len(mails) == len(index)

    async def send_all() -> int:
        async with mailer(tmp_path) as to:
            return sum([await check_mail(to, read_mail(path)) for path in mails])

    assert anyio.run(send_all) > 90


URLS = st.sampled_from(
    [
        "https://shop.example.com/",
        "https://shop.example.com/?a=1&amp;b=2#top",
        "HTTPS://Shop.Example.com/%7Euser?q=caf\u00e9",
        "http://example.com/a b",
        "https://example.com/?a=1&copy=2",
        "https:\\\\example.com\\x",
        "https://b\u00fccher.example/",
    ]
)
OTHERS = st.sampled_from(
    ["mailto:a@b.example", "#top", "", "{{ url }}", "tel:+1", "//x.example/", "https://u:p@h.example/"]
)
TEXT = st.text("abc <>&\"'/=\n\u00e9", max_size=12)
QUOTE = st.sampled_from(['"', "'"])


@st.composite
def links(draw: st.DrawFn) -> str:
    quote = draw(QUOTE)
    name = draw(st.sampled_from(["a", "A", "area"]))
    before = draw(st.sampled_from(["", " class=x", " data-x='>'"]))
    return f"<{name}{before} href={quote}{draw(URLS | OTHERS)}{quote}>{draw(TEXT)}</{name}>"


PIECES = (
    TEXT | links() | st.sampled_from(["<p>", "</p>", "<!-- x -->", "<br/>", "<b>", "</body>", "<style>a{}</style>"])
)


def test_machine_made_mails_keep_every_byte_and_every_link_leads_where_it_led(tmp_path: Path) -> None:
    """The same for mails no person would write."""

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(PIECES, max_size=12).map("".join))
    def law(content: str) -> None:
        async def send_one() -> None:
            async with mailer(tmp_path) as to:
                await check_mail(to, content)

        anyio.run(send_one)

    law()
