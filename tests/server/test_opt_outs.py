"""An opt-out holds from the moment it is answered, and a look never is one."""

import asyncio
import itertools
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.server.harness import Account, Server, broken
from tests.server.ledger import Ledger, faults
from tests.server.load import Client, Load, Mail, make_mails
from tests.server.stored import read_stored, rows_of
from tests.server.wire import Connection

pytestmark = [pytest.mark.fault, pytest.mark.anyio]

_CLIENTS = 8

_SCANNERS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
    "Mozilla/5.0 (compatible; MSIE 9.0; Windows NT 6.1; Win64; x64; Trident/5.0)",
    "Mozilla/5.0 (compatible; Barracuda Sentinel)",
    "Mozilla/5.0 (compatible; Proofpoint URL Defense)",
    "Mimecast-URL-Scanner/1.0",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "BarracudaCentral/1.0",
    "python-requests/2.32.3",
    "curl/8.5.0",
    "Go-http-client/1.1",
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "",
)


class Checked(NamedTuple):
    """The answer of a check, and when it was asked."""

    name: str
    asked_at: float
    allowed: bool


@dataclass(slots=True)
class History:
    """When opt-outs were answered, and what checks said, all by one clock."""

    left_at: dict[str, float] = field(default_factory=dict)
    checks: list[Checked] = field(default_factory=list)

    def violations(self) -> list[Checked]:
        """The checks begun after the 2xx of an opt-out that said "allowed" all the same."""
        return [one for one in self.checks if one.allowed and one.asked_at > self.left_at.get(one.name, one.asked_at)]


async def check(mailer: Client, account: Account, name: str) -> Checked:
    """Ask whether the recipient of this message may be written to."""
    asked_at = time.monotonic()
    return Checked(name, asked_at, (await mailer.check(account, [name]))[0])


async def leave_and_check(
    server: Server, account: Account, mails: Sequence[Mail], history: History, elsewhere: Server | None = None
) -> None:
    """One client: before each opt-out a check, at once after it another, and one of somebody else's; ``elsewhere`` is
    the node that is asked."""
    chance, ledger = random.Random(len(mails)), Ledger()
    async with Client(server.port, ledger) as leaver, Client((elsewhere or server).port, ledger) as mailer:
        for mail in mails:
            history.checks.append(await check(mailer, account, mail.name))
            answer = await leaver.leave(mail)
            assert answer is not None
            assert answer.status == 200, answer
            history.left_at[mail.name] = time.monotonic()
            history.checks.append(await check(mailer, account, mail.name))
            history.checks.append(await check(mailer, account, chance.choice([*history.left_at])))


async def opted_out_while_asked(server: Server, *, opt_outs: int) -> History:
    """Eight clients opt out and ask, while others read their mail."""
    history, ledger = History(), Ledger()
    account = await server.create_account("north")
    mails = await make_mails(server, account, ledger, opt_outs)
    async with Load(server, [account], ledger, readers=4, leavers=0), asyncio.TaskGroup() as group:
        for number in range(_CLIENTS):
            group.create_task(leave_and_check(server, account, mails[number::_CLIENTS], history))
    await server.caught_up()
    # The opt-outs were written down by their own clients, for this test is about the checks alone.
    found = faults(ledger, read_stored(server.main, server.inbox))
    assert {fault.kind for fault in found} <= {"invented"}, found
    return history


@pytest.mark.parametrize("opt_outs", [1_000, pytest.param(20_000, marks=pytest.mark.long)])
async def test_no_check_begun_after_an_opt_out_says_allowed(tmp_path: Path, opt_outs: int) -> None:
    """F23, A1.16: not one, whichever connection it comes on; before the opt-out every check allows."""
    async with Server(tmp_path / "data") as server:
        history = await opted_out_while_asked(server, opt_outs=opt_outs)
        assert history.violations() == []
        assert len(history.left_at) == opt_outs
        assert sum(one.allowed for one in history.checks) >= opt_outs


async def test_a_cache_of_checks_is_caught(tmp_path: Path) -> None:
    """F23's control: a check that may be a second old says "allowed" to those who have just left."""
    async with Server(tmp_path / "data", program=broken("remembers-checks")) as server:
        history = await opted_out_while_asked(server, opt_outs=80)
        assert history.violations() != []


async def test_ten_thousand_looks_of_scanners_unsubscribe_nobody(tmp_path: Path) -> None:
    """A1.10: whatever is fetched by whomever, there is no suppression and no event; one POST then makes one."""
    ledger = Ledger()
    async with Server(tmp_path / "data") as server:
        account = await server.create_account("north")
        mails = await make_mails(server, account, ledger, 100)
        looks = itertools.islice(itertools.product(("GET", "HEAD"), _SCANNERS, range(500)), 10_000)

        async def look() -> None:
            async with Connection(server.port) as connection:
                for method, scanner, number in looks:
                    path = mails[number % len(mails)].unsubscribe_path
                    answer = await connection.ask(method, path, headers={"user-agent": scanner})
                    assert answer.status == 200, answer

        async with asyncio.TaskGroup() as group:
            for _ in range(_CLIENTS):
                group.create_task(look())
        assert next(looks, None) is None
        await server.caught_up()
        assert rows_of(server.inbox, "select count(*) from suppressions") == [(0,)]
        assert rows_of(server.main, "select count(*) from events") == [(0,)]
        assert (await server.ask("POST", mails[0].unsubscribe_path)).status == 200
        assert rows_of(server.inbox, "select count(*) from suppressions") == [(1,)]
