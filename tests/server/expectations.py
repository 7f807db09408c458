"""What is expected of a server in trouble, in sentences that several tests share."""

import re
from collections.abc import Sequence

from tests.server.harness import Account, Server
from tests.server.ledger import Fault, Ledger, faults
from tests.server.load import Client, Mail
from tests.server.stored import read_stored
from tests.server.wire import Answer

_GIF = b"GIF89a\x01\x00\x01\x00"
_DESTINATION = "https://shop.example.com/?a=1&b=2#top"


async def expect_led_on(server: Server, reader: Client, mail: Mail) -> None:
    """What never needs storage: the link, the page that asks, and the 404 of a link that is none of ours."""
    click = await reader.click(mail)
    assert click is not None
    assert (click.status, click.headers["location"]) == (302, _DESTINATION)
    assert click.took_s < 2, "the reader waits for 250 ms at most; the rest is this machine's"
    assert (await server.ask("GET", mail.unsubscribe_path)).status == 200
    assert (await server.ask("GET", forged(mail.click_path))).status == 404


async def expect_nothing_promised(server: Server, reader: Client, mail: Mail) -> None:
    """An outage of the inbox: the pixel and the opt-out say that they could not be stored."""
    pixel = await reader.open(mail)
    assert pixel is not None
    assert (pixel.status, pixel.body[:10], len(pixel.body)) == (503, _GIF, 43)
    other = await server.ask("GET", forged(mail.open_path))
    assert (other.status, other.body, undated(other)) == (503, pixel.body, undated(pixel))
    opt_out = await reader.leave(mail)
    assert opt_out is not None
    assert opt_out.status == 503
    assert int(opt_out.headers["retry-after"]) > 0
    health = await server.health()
    assert health["status"] == "degraded"
    assert health["storage"].startswith("down since ")


async def expect_accepted(server: Server, reader: Client, account: Account, mail: Mail) -> None:
    """The inbox is well, whatever else is not: opens, clicks and opt-outs are stored, checks are answered."""
    assert await reader.check(account, [mail.name]) == [True]
    answers = [await reader.open(mail), await reader.click(mail), await reader.leave(mail)]
    assert [answer.status for answer in answers if answer is not None] == [200, 302, 200]
    assert await reader.check(account, [mail.name]) == [False]


async def expect_no_message(server: Server, account: Account) -> None:
    """A message needs the main file: its maker is told to come again, as an API tells it."""
    body = b'{"campaign": "later", "recipient": {"email": "ada@example.com"}}'
    answer = await server.ask("POST", "/v1/messages", headers=account.authorization, body=body)
    assert answer.status == 503, answer
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) > 0


async def expect_nothing_lost(server: Server, ledger: Ledger) -> None:
    """All that was promised is there, once, and so are the clicks that were led on."""
    await server.caught_up()
    assert faults(ledger, read_stored(server.main, server.inbox)) == []


async def wrongly_answered(server: Server, accounts: Sequence[Account], ledger: Ledger) -> list[Fault]:
    """Whom the check would let be written to after leaving, and whom it would not who never left."""
    found = []
    left = {deed.name for deed in ledger.acknowledged("unsubscribed")}
    tried = {deed.name for deed in ledger.sent("unsubscribed")}
    for account in accounts:
        made = [deed.name for deed in ledger.acknowledged("message") if deed.account == account.id]
        async with Client(server.port, ledger) as mailer:
            allowed = {name for name, yes in zip(made, await mailer.check(account, made), strict=True) if yes}
        found += [Fault("allowed after leaving", name) for name in sorted(allowed & left)]
        found += [Fault("refused who never left", name) for name in sorted({*made} - allowed - tried)]
    return found


async def expect_a_good_end(server: Server) -> None:
    """It stops when it is told to, and in all its lives nothing happened that nobody had foreseen."""
    await server.stop()
    log = server.log()
    # The log of a server that has no terminal writes the places of an exception in its own way.
    assert "Traceback" not in log
    assert not re.search('"exception":|nobody foresaw', log), log[-5_000:]


def forged(path: str) -> str:
    """The same link, signed by somebody else."""
    payload, _, signature = path.partition(".")
    return f"{payload}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"


def undated(answer: Answer) -> dict[str, str]:
    """The headers but for the time of day."""
    return {name: value for name, value in answer.headers.items() if name != "date"}
