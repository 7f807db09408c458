"""The proxies of the documents, as they are documented, in front of a real server."""

import asyncio
import itertools
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.server.expectations import expect_a_good_end
from tests.server.harness import PROJECT, Account, Server, until
from tests.web.serving import SAFE, SHOP
from tests.web.serving import until as until_true

pytestmark = [pytest.mark.fault, pytest.mark.anyio]

_DOCUMENTS = PROJECT / "docs" / "proxies"
_HOST = "t.example.com"
_READER = "127.9.8.7"
_HSTS = "max-age=31536000; includeSubDomains"
_ONE_CLICK = b"List-Unsubscribe=One-Click"
_PIXEL_SIZE = 43

_MAKE_CERTIFICATE = (
    *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
    *("-days", "2", "-subj", f"/CN={_HOST}", "-addext", f"subjectAltName=DNS:{_HOST}"),
)
_number = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Heard:
    """An answer, its fields in lower case and in the order they came."""

    status: int
    fields: list[tuple[str, str]]
    body: bytes

    def __getitem__(self, name: str) -> str | None:
        """The one value of a field; None without it."""
        found = [value for other, value in self.fields if other == name]
        assert len(found) < 2, found
        return found[0] if found else None

    def expect_safe(self) -> None:
        """The fields of every answer of the tracking host stand there once."""
        assert {name: self[name] for name in SAFE} == SAFE


@dataclass(kw_only=True)
class Proxy:
    """A proxy on ports of its own, with what it was told and what it said."""

    folder: Path
    port: int
    tls_port: int
    command: Sequence[str] = ()
    certificate: Path = field(init=False)
    key: Path = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.certificate, self.key = self.folder / "certificate.pem", self.folder / "key.pem"
        subprocess.run(
            (*_MAKE_CERTIFICATE, "-keyout", str(self.key), "-out", str(self.certificate)),
            check=True,
            capture_output=True,
        )

    def spawned(self) -> subprocess.Popen[bytes]:
        """Started, and at home in its folder."""
        environment = {"HOME": str(self.folder), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        with (self.folder / "log.output").open("wb") as output:
            return subprocess.Popen(
                self.command, cwd=self.folder, env=environment, stdout=output, stderr=subprocess.STDOUT
            )

    def said(self) -> str:
        """Everything it wrote: its logs, and to its standard output."""
        return "\n".join(path.read_text("utf-8", "replace") for path in self.folder.glob("*log*") if path.is_file())

    def tls(self, *protocols: str) -> ssl.SSLContext:
        """What trusts its certificate, and nothing else."""
        context = ssl.create_default_context(cafile=self.certificate)
        context.set_alpn_protocols(protocols or ("http/1.1",))
        return context

    async def connect(
        self, *, tls: bool = True, reader: str = _READER
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection from this address."""
        options: dict[str, Any] = {"ssl": self.tls(), "server_hostname": _HOST} if tls else {}
        port = self.tls_port if tls else self.port
        return await asyncio.open_connection("127.0.0.1", port, local_addr=(reader, 0), **options)

    async def ask(self, method: str, path: str, *fields: str, body: bytes = b"", tls: bool = True) -> Heard:
        """One request on a connection of its own."""
        reader, writer = await self.connect(tls=tls)
        length = [f"Content-Length: {len(body)}"] if method == "POST" else []
        lines = (f"{method} {path} HTTP/1.1", f"Host: {_HOST}", "Connection: close", *length, *fields, "", "")
        writer.write("\r\n".join(lines).encode("latin-1"))
        sending = asyncio.create_task(_send(writer, body))
        try:
            async with asyncio.timeout(20):
                return await heard(reader)
        finally:
            sending.cancel()
            await asyncio.wait([sending])
            writer.transport.abort()


async def _send(writer: asyncio.StreamWriter, body: bytes) -> None:
    for start in range(0, len(body), 65_536):
        writer.write(body[start : start + 65_536])
        await writer.drain()


async def heard(reader: asyncio.StreamReader) -> Heard:
    """The next answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
    fields = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    length = next((int(value) for name, value in fields if name == "content-length"), None)
    body = b"" if length is None else await reader.readexactly(length)
    return Heard(int(first.split(" ")[1]), fields, body)


def replaced(text: str, changes: dict[str, str]) -> str:
    """The document with these words exchanged, each of which stands in it."""
    for old, new in changes.items():
        assert old in text, f"the document no longer holds {old!r}"
        text = text.replace(old, new)
    return text


def nginx(proxy: Proxy, upstream: int) -> None:
    """nginx with its document in the place where the document says."""
    changes = {
        "127.0.0.1:8000": f"127.0.0.1:{upstream}",
        "listen 80;": f"listen 127.0.0.1:{proxy.port};",
        "    listen [::]:80;\n": "",
        "listen 443 ssl http2;": f"listen 127.0.0.1:{proxy.tls_port} ssl http2;",
        "    listen [::]:443 ssl http2;\n": "",
        "/etc/letsencrypt/live/t.example.com/fullchain.pem": str(proxy.certificate),
        "/etc/letsencrypt/live/t.example.com/privkey.pem": str(proxy.key),
        "/var/log/nginx/": f"{proxy.folder}/log.",
        "/var/www/acme": f"{proxy.folder}/acme",
    }
    document = replaced((_DOCUMENTS / "nginx.conf").read_text(), changes)
    (proxy.folder / "tracker.conf").write_text(document)
    # As Debian's nginx.conf around it, its log of all requests too.
    around = (
        f"pid {proxy.folder}/pid; error_log {proxy.folder}/log.error; events {{}}\n"
        f"http {{ access_log off; client_body_temp_path {proxy.folder}/body; proxy_temp_path {proxy.folder}/proxy;\n"
        f"fastcgi_temp_path {proxy.folder}/f; uwsgi_temp_path {proxy.folder}/u; scgi_temp_path {proxy.folder}/s;\n"
        f"include {proxy.folder}/tracker.conf; }}\n"
    )
    configuration = proxy.folder / "nginx.conf"
    configuration.write_text(around)
    proxy.command = ("nginx", "-c", str(configuration), "-g", "daemon off;")


def caddy(proxy: Proxy, upstream: int) -> None:
    """Caddy with a certificate of ours, since it can get none here."""
    changes = {
        "127.0.0.1:8000": f"127.0.0.1:{upstream}",
        "\nhttp://t.example.com {": f"\nhttp://t.example.com:{proxy.port} {{\n\tbind 127.0.0.1",
        "\nhttps://t.example.com {": (
            f"\nhttps://t.example.com:{proxy.tls_port} {{\n\tbind 127.0.0.1\n\ttls {proxy.certificate} {proxy.key}"
        ),
        # No second port, and no look for certificates.
        "\n{\n": "\n{\n\tadmin off\n\tauto_https disable_certs\n",
    }
    document = replaced((_DOCUMENTS / "Caddyfile").read_text(), changes)
    configuration = proxy.folder / "Caddyfile"
    configuration.write_text(document)
    proxy.command = ("caddy", "run", "--config", str(configuration), "--adapter", "caddyfile")


PROXIES = {"nginx": nginx, "caddy": caddy}


def free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@asynccontextmanager
async def started(proxy: Proxy) -> AsyncIterator[Proxy]:
    """The proxy, from when it listens until it was told to stop."""
    process = proxy.spawned()
    try:
        await until(
            lambda: process.poll() is not None or (listens(proxy.port) and listens(proxy.tls_port)),
            within_s=15,
            what="the proxy's start",
        )
        assert process.poll() is None, proxy.said()
        yield proxy
    finally:
        process.terminate()
        process.wait(15)


@dataclass(frozen=True, slots=True)
class Site:
    """A tracking host as its operator runs it."""

    server: Server
    proxy: Proxy
    account: Account
    tokens: list[str]

    async def make(self, url: str = SHOP) -> dict[str, str]:
        """A mail to somebody new; its links as paths."""
        recipient = f"reader{next(_number)}@example.com"
        html = f'<a href="{url.replace("&", "&amp;")}">x</a>'
        body = msgspec.json.encode({"campaign": "spring", "recipient": {"email": recipient}, "html": html})
        answer = await self.proxy.ask(
            "POST", "/v1/messages", *self.authorized(), "Content-Type: application/json", body=body
        )
        assert answer.status == 201, answer
        made = msgspec.json.decode(answer.body)
        click = made["html"].partition('href="')[2].partition('"')[0]
        urls = {"open": made["open_url"], "click": click, "leave": made["unsubscribe_url"]}
        paths = {name: found.removeprefix(f"https://{_HOST}") for name, found in urls.items()}
        self.tokens.extend(path[3:].removesuffix(".gif") for path in paths.values())
        return {**paths, "id": made["id"], "recipient": recipient}

    def authorized(self) -> list[str]:
        """The field with the API key."""
        return [f"Authorization: {self.account.authorization['authorization']}"]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """For as long as a proxy runs."""
    return "asyncio"


@pytest.fixture(scope="module", params=PROXIES)
async def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """A server and a proxy. What the proxy wrote in all that the tests did holds no token and no address."""
    if shutil.which(request.param) is None:
        pytest.skip(f"needs {request.param}")
    settings = {"TRACKER_BASE_URL": f"https://{_HOST}", "TRACKER_TRUSTED_PROXIES": "127.0.0.1"}
    folder = tmp_path_factory.mktemp("site")
    port, tls_port = free_ports()
    proxy = Proxy(folder=folder / request.param, port=port, tls_port=tls_port)
    async with Server(folder / "data", settings=settings) as server:
        account = await server.create_account("north")
        PROXIES[request.param](proxy, server.port)
        async with started(proxy):
            site = Site(server, proxy, account, [])
            yield site
        said = proxy.said()
        assert [one for one in (*site.tokens, _READER) if one in said] == []
        await expect_a_good_end(server)


async def test_readers_and_mailers_reach_the_tracking_host(site: Site) -> None:
    """What is true of the server is true behind the proxy: answers, fields, and who the reader is."""
    ask = site.proxy.ask
    mail = await site.make()
    pixel = await ask("GET", mail["open"], "X-Forwarded-For: 203.0.113.9", "Forwarded: for=203.0.113.9")
    assert (pixel.status, pixel["content-type"], len(pixel.body)) == (200, "image/gif", _PIXEL_SIZE)
    click = await ask("GET", mail["click"])
    assert (click.status, click["location"]) == (302, SHOP)
    page = await ask("GET", mail["leave"])
    assert (page.status, b"<form" in page.body) == (200, True)
    left = await ask("POST", mail["leave"], "Content-Type: application/x-www-form-urlencoded", body=_ONE_CLICK)
    assert (left.status, left["location"]) == (200, None)
    nothing = await ask("GET", "/c/nothing")
    assert nothing.status == 404
    for answer in (pixel, click, page, left, nothing):
        assert answer["strict-transport-security"] == _HSTS
        assert answer["referrer-policy"] == "no-referrer"
        assert answer["x-content-type-options"] == "nosniff"
        assert "no-store" in (answer["cache-control"] or "")
        assert answer["server"] in (None, "nginx")
        assert (answer["set-cookie"], answer["alt-svc"]) == (None, None)
    events = await ask("GET", f"/v1/events?order=asc&message={mail['id']}", *site.authorized())
    seen = [(event["type"], event["client"]["ip"]) for event in msgspec.json.decode(events.body)["data"]]
    assert seen == [(kind, "127.9.8.0") for kind in ("opened", "clicked", "unsubscribed")]


@pytest.mark.parametrize("url", ["http://tracker/spring?a=%2F..//b;c=%E2%82%AC", "http://127.0.0.1:8000//x/../y"])
async def test_destination_passes_as_it_was_signed(site: Site, url: str) -> None:
    """Also where it looks like the proxy's own upstream, which proxies like to rewrite (A4.4)."""
    direct = await site.server.ask("GET", (mail := await site.make(url))["click"])
    answer = await site.proxy.ask("GET", mail["click"])
    assert answer["location"] == direct.headers["location"]


async def test_paths_pass_as_they_were_sent(site: Site) -> None:
    """Encoded ones too; and slashes that double are no other path (A1.7)."""
    mail = await site.make()
    leave = mail["leave"]
    encoded = leave[:3] + "".join(f"%{ord(sign):02X}" if at % 3 == 0 else sign for at, sign in enumerate(leave[3:]))
    assert (await site.proxy.ask("POST", encoded)).status == 200
    for odd in (f"/{leave}", f"{leave}/", leave.upper(), f"/x/..{leave}"):
        answer = await site.proxy.ask("POST", odd, body=_ONE_CLICK)
        assert (answer.status, answer["location"]) == (404, None), odd
        answer.expect_safe()


async def test_http_leads_looks_to_https_and_no_post(site: Site) -> None:
    """RFC 8058: a POST is answered where it arrives, or refused (A12.2)."""
    mail = await site.make()
    for path in (mail["open"], mail["click"], f"{mail['leave']}?x=%2F1"):
        answer = await site.proxy.ask("GET", path, tls=False)
        assert (answer.status, answer["location"]) == (301, f"https://{_HOST}{path}")
        answer.expect_safe()
        assert answer["strict-transport-security"] is None
    refused = await site.proxy.ask("POST", mail["leave"], body=_ONE_CLICK, tls=False)
    assert (refused.status, refused["location"]) == (400, None)
    refused.expect_safe()
    assert await may_write_to(site, mail["recipient"])


async def may_write_to(site: Site, email: str) -> bool:
    """Whether a check says so."""
    body = msgspec.json.encode({"recipients": [email]})
    headers = (*site.authorized(), "Content-Type: application/json")
    answer = await site.proxy.ask("POST", "/v1/suppressions/check", *headers, body=body)
    return bool(msgspec.json.decode(answer.body)["data"][0]["allowed"])


async def test_too_much_is_refused_by_the_server_itself(site: Site) -> None:
    """Its answer says what is allowed, and the proxy keeps no body on the disk until then."""
    fields = (*site.authorized(), "Content-Type: application/json")
    answer = await site.proxy.ask("POST", "/v1/messages", *fields, body=b"x" * 20_000_000)
    assert (answer.status, answer["content-type"]) == (413, "application/problem+json")
    assert b"5 MiB" in answer.body
    long = await site.proxy.ask("GET", f"/c/{'a' * 4_200}")
    assert long.status == 414
    many = await site.proxy.ask("GET", "/", *(f"X-{number}: {'y' * 990}" for number in range(18)))
    assert many.status == 431


@pytest.mark.parametrize("fields", [["Content-Length: 26"], ["Transfer-Encoding: chunked"]])
async def test_opt_out_does_not_wait_for_its_body(site: Site, fields: list[str]) -> None:
    """The proxy hands on what it has: the token said it all (A1.8). Caddy keeps the answer until the body is whole."""
    mail = await site.make()
    reader, writer = await site.proxy.connect()
    writer.write("\r\n".join((f"POST {mail['leave']} HTTP/1.1", f"Host: {_HOST}", *fields, "", "")).encode())

    async def left() -> bool:
        return not await may_write_to(site, mail["recipient"])

    await until_true(left, within_s=5)
    if site.proxy.command[0] == "nginx":
        async with asyncio.timeout(5):
            assert (await heard(reader)).status == 200
    writer.transport.abort()


async def test_newest_protocols_are_offered(site: Site) -> None:
    """HTTP/2 and TLS 1.3."""
    context = site.proxy.tls("h2", "http/1.1")
    _, writer = await asyncio.open_connection("127.0.0.1", site.proxy.tls_port, ssl=context, server_hostname=_HOST)
    chosen: ssl.SSLObject = writer.get_extra_info("ssl_object")
    assert (chosen.selected_alpn_protocol(), chosen.version()) == ("h2", "TLSv1.3")
    writer.transport.abort()


async def test_server_that_is_away_is_worth_coming_back_to(site: Site) -> None:
    """The proxy answers in its place, with the fields it would have; and goes on when it is there again."""
    mail = await site.make()
    site.server.kill()
    for method, path in (("GET", mail["open"]), ("POST", mail["leave"])):
        answer = await site.proxy.ask(method, path, body=_ONE_CLICK if method == "POST" else b"")
        assert (answer.status, answer["retry-after"]) == (503, "30")
        assert answer["strict-transport-security"] == _HSTS
        answer.expect_safe()
    await site.server.start()
    assert (await site.proxy.ask("GET", mail["click"]))["location"] == SHOP
