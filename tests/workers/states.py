"""Waits for what is to become true."""

import asyncio
from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], bool | Awaitable[bool]], *, within_s: float = 10.0) -> None:
    """Return as soon as the condition holds; a test that would wait for ever fails instead."""
    async with asyncio.timeout(within_s):
        while not await _holds(condition):  # noqa: ASYNC110 - no event tells of most of what is waited for
            await asyncio.sleep(0.002)


async def _holds(condition: Callable[[], bool | Awaitable[bool]]) -> bool:
    result = condition()
    return result if isinstance(result, bool) else await result
