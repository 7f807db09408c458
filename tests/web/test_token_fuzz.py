"""Thousands of damaged tokens through the whole application."""

import logging
import random

import pytest

from tests.domain.test_token_fuzz import MUTATIONS
from tests.web.serving import Customer, Served, ask, click_of, path_of
from tracker.web.tracking import PIXEL

pytestmark = pytest.mark.anyio

_TRIES = 6_000


async def test_damaged_tokens_get_the_picture_or_the_page_and_do_nothing(
    served: Served, customer: Customer, caplog: pytest.LogCaptureFixture
) -> None:
    """F15: no answer of 500 and over, nothing in the log, nothing recorded, nobody suppressed."""
    made, chance = await customer.make(), random.Random(1)
    urls = (made["open_url"], click_of(made), made["unsubscribe_url"], made["preferences_url"])
    tokens = [path_of(url)[3:].removesuffix(".gif") for url in urls]
    caplog.set_level(logging.WARNING)
    for number in range(_TRIES):
        kind = number % 4
        damaged = chance.choice(MUTATIONS)(tokens[kind], chance.choice(tokens), chance)
        if damaged == tokens[kind]:
            continue
        method = chance.choice(("GET", "HEAD")) if kind < 2 else chance.choice(("GET", "POST"))
        somebody = (f"198.51.{number // 250}.{number % 250}", 50_000)
        answer = await ask(served.app, method, f"/{'ocup'[kind]}/{damaged}", client=somebody)
        assert answer.status == (200 if kind == 0 else 404), (method, kind, damaged)
        assert kind != 0 or answer.body == PIXEL
        assert answer.fields["cache-control"].startswith("no-store")
    assert caplog.records == []
    assert await customer.events() == []
    assert served.suppressions() == 0
