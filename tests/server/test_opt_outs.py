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

from tests.server.expectations import expect_a_good_end, expect_nothing_lost
from tests.server.harness import Account, Server, broken, until
from tests.server.ledger import Ledger
from tests.server.load import Client, Load, Mail, batch_of_mails, make_mails
from tests.server.stored import rows_of
from tests.server.test_kill import kill_server
from tests.server.wire import Connection, NoAnswer, NotSent

pytestmark = [pytest.mark.fault, pytest.mark.anyio]

_CLIENTS = 8
_OTHERS = 8
_AGAIN_S = 0.02

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
    """A check that said "allowed", and when it was asked."""

    name: str
    asked_at: float


@dataclass(slots=True)
class History:
    """When opt-outs were answered, and what checks said, all by one clock."""

    left_at: dict[str, float] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    checks: int = 0
    allowed: list[Checked] = field(default_factory=list)

    def checked(self, names: Sequence[str], asked_at: float, allowed: Sequence[bool]) -> None:
        """Write down what a call was answered."""
        self.checks += len(names)
        self.allowed += [Checked(name, asked_at) for name, yes in zip(names, allowed, strict=True) if yes]

    def violations(self) -> list[Checked]:
        """The checks begun after the 2xx of an opt-out that said "allowed" all the same."""
        return [one for one in self.allowed if one.asked_at > self.left_at.get(one.name, one.asked_at)]


async def check(mailer: Client, account: Account, names: Sequence[str], history: History) -> None:
    """Ask whether the recipients of these messages may be written to, again if the server dies meanwhile."""
    while True:
        asked_at = time.monotonic()
        try:
            history.checked(names, asked_at, await mailer.check(account, names))
            return
        except (NotSent, NoAnswer):
            await asyncio.sleep(_AGAIN_S)


async def leave(leaver: Client, mail: Mail, history: History) -> None:
    """Opt out, again if the server dies meanwhile: a person would, and so would a mail program."""
    answer = None
    while answer is None:
        answer = await leaver.leave(mail)
    assert answer.status == 200, answer
    history.left_at[mail.name] = time.monotonic()
    history.gone.append(mail.name)


async def leave_and_check(
    server: Server, mails: Sequence[Mail], history: History, ledger: Ledger, elsewhere: Server | None = None
) -> None:
    """One client: before each opt-out a check, at once after it another, of others who have left as well; ``elsewhere``
    is the node that is asked."""
    chance = random.Random(len(mails))
    async with Client(server.port, ledger) as leaver, Client((elsewhere or server).port, ledger) as mailer:
        for mail in mails:
            await check(mailer, mail.account, [mail.name], history)
            await leave(leaver, mail, history)
            await check(mailer, mail.account, [mail.name, *chance.choices(history.gone, k=_OTHERS)], history)


async def killed_meanwhile(server: Server, history: History, *, kills: int, opt_outs: int) -> None:
    """Kill the server so many times while people leave."""
    for number in range(1, kills + 1):
        wanted = opt_outs * number // (kills + 1)
        await until(lambda wanted=wanted: len(history.left_at) >= wanted, within_s=600, what="opt-outs")  # type: ignore[misc]
        await kill_server(server)


async def opted_out_while_asked(server: Server, *, opt_outs: int, kills: int) -> History:
    """Eight clients opt out and ask, while others read their mail and the server dies."""
    history, ledger = History(), Ledger()
    account = await server.create_account("north")
    mails = await batch_of_mails(server, account, ledger, opt_outs)
    async with Load(server, [account], ledger, readers=4, leavers=0), asyncio.TaskGroup() as group:
        group.create_task(killed_meanwhile(server, history, kills=kills, opt_outs=opt_outs))
        for number in range(_CLIENTS):
            group.create_task(leave_and_check(server, mails[number::_CLIENTS], history, ledger))
    print(f"{len(history.left_at)} opt-outs, {history.checks} checks, {kills} kills, {ledger.unknown} unanswered")
    await expect_nothing_lost(server, ledger)
    return history


@pytest.mark.parametrize(("opt_outs", "kills"), [(1_000, 3), pytest.param(100_000, 50, marks=pytest.mark.long)])
async def test_no_check_begun_after_an_opt_out_says_allowed(tmp_path: Path, opt_outs: int, kills: int) -> None:
    """F23, A1.16: not one of ten for each opt-out, whichever connection it comes on and however often the server is
    killed; before the opt-out every check allows."""
    async with Server(tmp_path / "data") as server:
        history = await opted_out_while_asked(server, opt_outs=opt_outs, kills=kills)
        assert history.violations() == []
        assert len(history.left_at) == opt_outs
        assert history.checks >= 10 * opt_outs
        assert len(history.allowed) >= opt_outs
        await expect_a_good_end(server)


async def test_a_cache_of_checks_is_caught(tmp_path: Path) -> None:
    """F23's control: a check that may be a second old says "allowed" to those who have just left."""
    async with Server(tmp_path / "data", program=broken("remembers-checks")) as server:
        history = await opted_out_while_asked(server, opt_outs=80, kills=0)
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
