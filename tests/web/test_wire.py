"""What only a real server and a real socket show: slow bodies, old clients, strange requests, proxies."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import pytest

from tests.server.harness import Account, Server
from tests.web.serving import SAFE, SHOP, until
from tracker.web.tracking import PIXEL

pytestmark = pytest.mark.anyio

ONE_CLICK = b"List-Unsubscribe=One-Click"
JUNK = b"\x00\xff junk" * 150_000


@dataclass(frozen=True, slots=True)
class Heard:
    """An answer as it came over the wire, with what came before it."""

    interim: bytes
    status: int
    fields: dict[str, str]
    body: bytes


async def talk(port: int, *sent: bytes) -> Heard:
    """Send these bytes on a new connection, and read one answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(10):
            for part in sent:
                writer.write(part)
            return await read_answer(reader, head=sent[0].startswith(b"HEAD"))
    finally:
        writer.close()


async def read_answer(reader: asyncio.StreamReader, *, head: bool = False) -> Heard:
    """The next answer on a connection."""
    start, interim = await reader.readuntil(b"\r\n\r\n"), b""
    if start.startswith(b"HTTP/1.1 100"):
        interim, start = start, await reader.readuntil(b"\r\n\r\n")
    first, *lines = start.removesuffix(b"\r\n\r\n").decode("latin-1").split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines)
    assert len(fields) == len(lines), lines
    length = 0 if head else int(fields["content-length"])
    return Heard(interim, int(first.split(" ")[1]), fields, await reader.readexactly(length))


def request(method: str, path: str, *fields: str, version: str = "1.1") -> bytes:
    """The head of a request."""
    return "\r\n".join((f"{method} {path} HTTP/{version}", "Host: t.example.com", *fields, "", "")).encode("latin-1")


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """A server as it is started with nothing set, but for a log of everything."""
    async with Server(tmp_path_factory.mktemp("wire") / "here", settings={"TRACKER_LOG_LEVEL": "debug"}) as started:
        yield started


@pytest.fixture(scope="module")
async def account(server: Server) -> Account:
    return await server.create_account("Larkspur")


_number = iter(range(1_000))


async def make(server: Server, account: Account) -> dict[str, Any]:
    """A message to somebody new, its URLs as paths."""
    wanted = {
        "campaign": "spring",
        "recipient": {"email": f"canary{next(_number)}@example.com"},
        "html": f'<a href="{SHOP.replace("&", "&amp;")}">x</a>',
    }
    answer = await server.ask("POST", "/v1/messages", headers=account.authorization, body=json.dumps(wanted).encode())
    assert answer.status == 201, answer
    made: dict[str, Any] = answer.json()
    base = made["open_url"].partition("/o/")[0]
    click = made["html"].partition('href="')[2].partition('"')[0]
    paths = {"open": made["open_url"], "click": click, "leave": made["unsubscribe_url"]}
    return {**{name: url.removeprefix(base) for name, url in paths.items()}, **wanted, "id": made["id"]}


async def may_write_to(server: Server, account: Account, email: str) -> bool:
    body = b'{"recipients": ["%s"]}' % email.encode()
    answer = await server.ask("POST", "/v1/suppressions/check", headers=account.authorization, body=body)
    return bool(answer.json()["data"][0]["allowed"])


async def test_head_has_no_body(server: Server, account: Account) -> None:
    """The fields of GET, its length included, and not one byte after them (A2.1)."""
    made, own = await make(server, account), {"date": "", "request-id": ""}
    for path in (made["open"], made["click"], made["leave"], "/", "/nothing", "/livez", "/c/bad"):
        got = await talk(server.port, request("GET", path))
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(request("HEAD", path, "Connection: close"))
        headed = await read_answer(reader, head=True)
        assert await reader.read() == b""
        writer.close()
        assert (headed.status, headed.fields.pop("connection")) == (got.status, "close")
        assert {**headed.fields, **own} == {**got.fields, **own}


async def test_fields_on_the_wire_are_ours_and_the_date(server: Server, account: Account) -> None:
    """Nothing says what serves; the redirect's target has the bytes that were signed (A4.4)."""
    made = await make(server, account)
    pixel = await talk(server.port, request("GET", made["open"]))
    click = await talk(server.port, request("GET", made["click"]))
    assert (pixel.status, pixel.body) == (200, PIXEL)
    assert (click.status, click.fields["location"], click.body) == (302, SHOP, b"")
    assert set(click.fields) == {*SAFE, "location", "content-length", "content-security-policy", "date"}
    assert "server" not in pixel.fields


SLOW_BODIES: dict[str, tuple[list[str], list[bytes]]] = {
    "none of it": (["Content-Length: 26"], []),
    "half of it": (["Content-Length: 1000"], [ONE_CLICK]),
    "a chunk without end": (["Transfer-Encoding: chunked"], [b"1a\r\n" + ONE_CLICK]),
    "chunks without end": (["Transfer-Encoding: chunked"], [b"1a\r\n" + ONE_CLICK + b"\r\n"]),
    "what was agreed on": (["Content-Length: 26", "Expect: 100-continue"], []),
}


@pytest.mark.parametrize(("fields", "body"), SLOW_BODIES.values(), ids=SLOW_BODIES)
async def test_body_that_never_arrives_is_not_waited_for(
    server: Server, account: Account, fields: list[str], body: list[bytes]
) -> None:
    """The token said it all: a quarter of a second is all a body gets (A1.8, A1.9)."""
    made = await make(server, account)
    began = time.monotonic()
    answer = await talk(server.port, request("POST", made["leave"], *fields), *body)
    assert time.monotonic() - began < 1.5
    assert answer.status == 200
    assert not await may_write_to(server, account, made["recipient"]["email"])


async def test_body_that_is_agreed_on_first_is_asked_for(server: Server, account: Account) -> None:
    """Expect: 100-continue gets its go-ahead, then the body, then the answer (A1.8)."""
    made = await make(server, account)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request("POST", made["leave"], "Content-Length: 26", "Expect: 100-continue"))
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(ONE_CLICK)
    assert (await read_answer(reader)).status == 200
    writer.close()


OLD_CLIENTS: dict[str, tuple[str, list[str], bytes]] = {
    "HTTP/1.0 without a length": ("1.0", [], b""),
    "HTTP/1.0": ("1.0", ["Content-Length: 26"], ONE_CLICK),
    "HTTP/1.0 that keeps alive": ("1.0", ["Connection: keep-alive", "Content-Length: 26"], ONE_CLICK),
    "HTTP/1.1 without a length": ("1.1", [], b""),
    "HTTP/1.1 that closes": ("1.1", ["Connection: close", "Content-Length: 26"], ONE_CLICK),
    "one that would like HTTP/2": (
        "1.1",
        ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQ", "Content-Length: 26"],
        ONE_CLICK,
    ),
    "a megabyte of junk": ("1.1", [f"Content-Length: {len(JUNK)}"], JUNK),
    "junk in chunks": ("1.1", ["Transfer-Encoding: chunked"], b"%x\r\n%s\r\n0\r\n\r\n" % (len(JUNK), JUNK)),
}


@pytest.mark.parametrize(("version", "fields", "body"), OLD_CLIENTS.values(), ids=OLD_CLIENTS)
async def test_every_kind_of_client_can_opt_out(
    server: Server, account: Account, version: str, fields: list[str], body: bytes
) -> None:
    """Receivers of mail run all sorts of programs (A1.7, A1.8)."""
    made = await make(server, account)
    answer = await talk(server.port, request("POST", made["leave"], *fields, version=version), body)
    assert (answer.status, "location" in answer.fields) == (200, False)
    assert not await may_write_to(server, account, made["recipient"]["email"])


UPGRADE = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQ"]


@pytest.mark.parametrize("pieces", [1, 3, 500])
async def test_offer_of_another_protocol_is_not_taken_up(server: Server, account: Account, pieces: int) -> None:
    """A client that would like HTTP/2 sends its request in HTTP/1.1 meanwhile: its body is read, however it is cut."""
    key = f"Authorization: {account.authorization['authorization']}"
    body = b'{"recipients": ["canary@example.com"]}'
    fields = [*UPGRADE, key, "Content-Type: application/json", f"Content-Length: {len(body)}"]
    sent = request("POST", "/v1/suppressions/check", *fields) + body
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    size = -(-len(sent) // pieces)
    for start in range(0, len(sent), size):
        writer.write(sent[start : start + size])
        await writer.drain()
        await asyncio.sleep(0)
    answer = await read_answer(reader)
    assert (answer.status, json.loads(answer.body)["data"][0]["allowed"]) == (200, True)
    assert "upgrade" not in answer.fields
    # The connection goes on, and so does what comes after on it.
    writer.write(request("GET", "/livez", *UPGRADE) + request("GET", "/robots.txt"))
    assert (await read_answer(reader)).body == b'{"status":"ok"}'
    assert (await read_answer(reader)).body.startswith(b"User-agent")
    writer.close()


async def test_many_offers_at_once_are_as_many_requests(server: Server) -> None:
    """However many stand in one packet."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n" * 1_000)
    for _ in range(1_000):
        assert (await read_answer(reader)).status == 200
    writer.close()


async def test_client_that_hangs_up_has_opted_out(server: Server, account: Account) -> None:
    """Whether the answer is read is not our business: the wish was heard."""
    made = await make(server, account)
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request("POST", made["leave"], "Content-Length: 26") + ONE_CLICK)
    await writer.drain()
    writer.close()

    async def heard() -> bool:
        return not await may_write_to(server, account, made["recipient"]["email"])

    await until(heard)


async def test_connection_goes_on_after_a_body_nobody_read(server: Server, account: Account) -> None:
    """The rest of a long body is no new request."""
    made = await make(server, account)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request("POST", made["leave"], f"Content-Length: {len(JUNK)}") + JUNK + request("GET", made["open"]))
    assert (await read_answer(reader)).status == 200
    assert (await read_answer(reader)).body == PIXEL
    writer.close()


async def test_encoded_paths_are_the_paths_they_encode(server: Server, account: Account) -> None:
    """Some gateways encode more than is needed."""
    made = await make(server, account)

    def encoded(path: str) -> str:
        return path[:3] + "".join(f"%{ord(sign):02X}" if at % 3 == 0 else sign for at, sign in enumerate(path[3:]))

    assert (await talk(server.port, request("GET", encoded(made["click"])))).fields["location"] == SHOP
    assert (await talk(server.port, request("POST", encoded(made["leave"]), "Content-Length: 0"))).status == 200


ODD_REQUESTS: dict[str, bytes] = {
    "not HTTP": b"GARBAGE\r\n\r\n",
    "another protocol": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 50,
    "a path with spaces": b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
    "a broken field": b"GET / HTTP/1.1\r\nHost x\r\n\r\n",
    "a length in words": b"POST /u/x HTTP/1.1\r\nHost: x\r\nContent-Length: ten\r\n\r\n",
    "two lengths": b"POST /u/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "a length and chunks": b"POST /u/x HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "no host": b"GET /livez HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /livez HTTP/1.1\r\nHost: t.example.com\r\nHost: evil.example\r\n\r\n",
    "the same host twice": b"GET /livez HTTP/1.1\r\nHost: x\r\nAccept: */*\r\nhost: x\r\n\r\n",
    "two hosts in HTTP/1.0": b"GET /livez HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n",
    "a host with a path": b"GET /livez HTTP/1.1\r\nHost: x/y\r\n\r\n",
    "a host with a name": b"GET /livez HTTP/1.1\r\nHost: me@x\r\n\r\n",
    "hosts in a list": b"GET /livez HTTP/1.1\r\nHost: x, y\r\n\r\n",
    "a host that is open": b"GET /livez HTTP/1.1\r\nHost: [::1\r\n\r\n",
    "a tunnel": b"CONNECT evil.example:443 HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("sent", ODD_REQUESTS.values(), ids=ODD_REQUESTS)
async def test_what_is_no_request_is_for_no_cache_either(server: Server, sent: bytes) -> None:
    """400 from the server itself, with the fields every answer of ours has; it goes on serving (B-36)."""
    answer = await talk(server.port, sent)
    assert answer.status == 400
    assert answer.fields["connection"] == "close"
    assert SAFE.items() <= answer.fields.items()
    assert (await server.health())["status"] == "ok"


async def test_odd_requests_that_can_be_read_are_answered(server: Server) -> None:
    """OPTIONS of everything finds nothing; a request as of 1991 is taken for one of today."""
    for sent, status in ((request("OPTIONS", "*"), 404), (b"GET /nothing\r\n\r\n", 404)):
        answer = await talk(server.port, sent)
        assert answer.status == status
        assert SAFE.items() <= answer.fields.items()


GOOD_HOSTS = ["", "x", "T.Example.COM:8443", "192.0.2.1:80", "[2001:db8::1]:8000", "[::ffff:192.0.2.1]", "under_score"]


async def test_every_host_that_can_be_one_is_served(server: Server) -> None:
    """One after the other on a connection; before HTTP/1.1 there need not be any (RFC 9112, section 3.2)."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    for host in GOOD_HOSTS:
        writer.write(f"GET /livez HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert (await read_answer(reader)).status == 200, host
    # What comes after on the same connection is looked at anew.
    writer.write(b"GET /livez HTTP/1.1\r\n\r\n")
    assert (await read_answer(reader)).status == 400
    writer.close()
    assert (await talk(server.port, b"GET /livez HTTP/1.0\r\n\r\n")).status == 200


async def test_absolute_form_changes_nothing(server: Server, account: Account) -> None:
    """A proxy may ask in this way; the host in it is not believed."""
    made = await make(server, account)
    answer = await talk(server.port, request("GET", f"http://evil.example{made['click']}"))
    assert (answer.status, answer.fields["location"]) == (302, SHOP)
    assert (await talk(server.port, request("GET", "/c/" + "A" * 4_000))).status == 404


async def test_too_much_is_refused_over_the_wire(server: Server, account: Account) -> None:
    """413 reaches a client that is still sending, memory does not grow with it, and the connection goes on (B-23)."""
    key = f"Authorization: {account.authorization['authorization']}"
    before = server.memory("VmRSS")
    for fields, body in (
        (["Content-Length: 20000000"], b"x" * 20_000_000),
        (["Transfer-Encoding: chunked"], (b"10000\r\n" + b"x" * 65_536 + b"\r\n") * 300 + b"0\r\n\r\n"),
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(request("POST", "/v1/messages", key, *fields))
        sending = asyncio.create_task(send_all(writer, body))
        answer = await read_answer(reader)
        assert (answer.status, answer.fields["content-type"]) == (413, "application/problem+json")
        assert b"5,242,880 bytes (5 MiB)" in answer.body
        await sending
        writer.write(request("GET", "/livez"))
        assert (await read_answer(reader)).status == 200
        writer.close()
    assert server.memory("VmRSS") - before < 30_000_000


async def send_all(writer: asyncio.StreamWriter, body: bytes) -> None:
    """All of it, as fast as the other side takes it."""
    for start in range(0, len(body), 65_536):
        writer.write(body[start : start + 65_536])
        await writer.drain()


async def seen_from(server: Server, account: Account, made: dict[str, Any], *forwarded: list[str]) -> list[str | None]:
    """The network kept for an open with each of these lists of fields."""
    for fields in forwarded:
        assert (await talk(server.port, request("GET", made["open"], *fields))).status == 200
    answer = await server.ask(
        "GET", f"/v1/events?order=asc&type=opened&message={made['id']}", headers=account.authorization
    )
    # Those of one millisecond come in any order.
    return [event["client"]["ip"] for event in sorted(answer.json()["data"], key=itemgetter("sequence"))]


async def test_nobody_may_say_who_the_client_is(server: Server, account: Account) -> None:
    """Without trusted proxies the peer of the socket is the client, whatever the fields say (B-13)."""
    made = await make(server, account)
    forged = [
        ["X-Forwarded-For: 6.6.6.6"],
        ["X-Forwarded-For: 6.6.6.6, 127.0.0.1"],
        ["Forwarded: for=6.6.6.6", "X-Real-IP: 6.6.6.6", "CF-Connecting-IP: 6.6.6.6"],
    ]
    assert await seen_from(server, account, made, *forged) == ["127.0.0.0"] * 3


async def test_trusted_proxies_say_who_the_client_is(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The last address that none of them is: what stands left of it anybody may have written (B-13)."""
    settings = {"TRACKER_TRUSTED_PROXIES": "127.0.0.1, 10.0.0.0/8"}
    async with Server(tmp_path_factory.mktemp("proxied") / "here", settings=settings) as proxied:
        account = await proxied.create_account("Larkspur")
        made = await make(proxied, account)
        fields = [
            ["X-Forwarded-For: 6.6.6.6, 203.0.113.9, 10.1.2.3"],
            ["X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 203.0.113.9", "X-Forwarded-For: 10.1.2.3"],
            ["X-Forwarded-For: 203.0.113.9:4711"],
            ["X-Forwarded-For: [2001:db8:1:2::3]:443"],
            ["X-Forwarded-For: unknown"],
            ["X-Forwarded-For: 203.0.113.9, <script>.1"],
            [],
        ]
        networks = await seen_from(proxied, account, made, *fields)
    assert networks == ["203.0.113.0", "203.0.113.0", "203.0.113.0", "2001:db8:1::", None, None, "127.0.0.0"]


async def test_server_tells_nobodys_secrets(server: Server, account: Account) -> None:
    """With everything logged, in good and bad times, standard error holds no token, address or key (B-22)."""
    made = await make(server, account)
    paths = [made["open"], made["click"], made["leave"]]
    for path in (*paths, *(f"{path}x" for path in paths), "/v1/messages"):
        for method in ("GET", "POST", "PUT", "HEAD"):
            await talk(server.port, request(method, path, "Content-Length: 0"))
    await talk(server.port, request("GET", f"{made['click']} x"))
    await server.ask("POST", "/v1/events/search", headers=account.authorization, body=b'{"email": "canary1@example"}')
    said = server.log().lower()
    key = account.authorization["authorization"].rpartition(" ")[2]
    secrets = ["canary", key.lower(), key.split("_", 2)[2].lower()]
    secrets += [part.lower() for path in paths for part in path[3:].removesuffix(".gif").split(".")]
    assert [one for one in secrets if one in said] == []


async def test_answer_in_one_piece_is_the_usual_answer(server: Server, account: Account) -> None:
    """A connection that stays open gets the bytes that were made beforehand, one that ends the usual way."""
    made = await make(server, account)
    for path in (made["open"], made["click"], "/o/forged.gif"):
        whole = await talk(server.port, request("GET", path))
        usual = await talk(server.port, request("GET", path, "Connection: close"))
        assert usual.fields.pop("connection") == "close"
        assert (whole.status, whole.body) == (usual.status, usual.body)
        assert list({**whole.fields, "date": ""}.items()) == list({**usual.fields, "date": ""}.items())


async def test_requests_sent_at_once_are_answered_in_their_order(server: Server, account: Account) -> None:
    """Pipelined hits, one of them a HEAD, and a request of another kind between them (RFC 9112, section 9.3.2)."""
    made = await make(server, account)
    asked = [("GET", made["open"]), ("HEAD", made["click"]), ("GET", "/livez"), ("GET", made["click"])] * 3
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"".join(request(method, path) for method, path in asked))
    heard = [await read_answer(reader, head=method == "HEAD") for method, _ in asked]
    writer.close()
    assert [answer.status for answer in heard] == [200, 302, 200, 302] * 3
    assert [answer.fields.get("location") for answer in heard] == [None, SHOP, None, SHOP] * 3
    assert [answer.body for answer in heard[::4]] == [PIXEL] * 3
