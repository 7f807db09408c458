"""Idempotency-Key: a call that is sent again is not carried out again.

What is kept of a call is not its answer, which is full of addresses and links, but what was made: with the same
request the answer is made from that once more.
"""

import hashlib
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from ..domain.receipts import BadIdempotencyKey, Receipt, read_idempotency_key
from ..storage.database import Stale
from ..storage.receipts import Receipts
from .problems import Problem

T = TypeVar("T")

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
_RETRY_AFTER_S = 1


class Keyed:
    """A request with an Idempotency-Key, and the fingerprint of what is read of it."""

    def __init__(self, request: Request, account: bytes, route: str, key: str) -> None:
        self.account = account
        self.route = route
        self.key = hashlib.blake2b(key.encode(), digest_size=16).digest()
        self._seen = hashlib.blake2b(f"{request.url.path}?{request.url.query}\0".encode(), digest_size=16)
        self._receive = request.receive
        self.request = Request(request.scope, self._watch)
        """To be read in the place of the one that came."""

    @property
    def fingerprint(self) -> bytes:
        """Of the path, the query and what was read of the body."""
        return self._seen.digest()

    async def _watch(self) -> Message:
        message = await self._receive()
        self._seen.update(message.get("body", b""))
        return message


class Once:
    """What a handler needs to have its effect once: what an earlier call made, and the receipt of this one."""

    def __init__(self, keyed: Keyed | None = None, fingerprint: bytes = b"", earlier: Receipt | None = None) -> None:
        self._keyed = keyed
        self._fingerprint = fingerprint
        self._earlier = earlier
        self._cut = False

    @property
    def repeated(self) -> bool:
        """Whether this was carried out before: then nothing is to be changed, and the answer is what it was."""
        return self._earlier is not None and not self._cut

    @property
    def earlier(self) -> Receipt | None:
        """What an earlier call kept."""
        return self._earlier

    def go_on(self) -> None:
        """The earlier call was cut off half-way, and this one goes on: it is no repetition."""
        self._cut = True

    def made(self, wanted: type[T]) -> T | None:
        """What the earlier call gave to :meth:`receipt`; None when there was none."""
        return msgspec.msgpack.decode(self._earlier.made, type=wanted) if self._earlier is not None else None

    def receipt(self, made: Any = None) -> Receipt | None:
        """To be stored in the transaction of the effect; None when the request has no key.

        ``made`` is what the answer can be made from again, with the same request: ids and times, never an address.
        """
        if self._keyed is None:
            return None
        return Receipt(
            account=self._keyed.account,
            route=self._keyed.route,
            key=self._keyed.key,
            fingerprint=self._fingerprint,
            made=msgspec.msgpack.encode(made),
            created_at=_now(),
        )


class Idempotency:
    """Finds the receipts of earlier calls, by the file in which the effect of a route is."""

    def __init__(self, receipts: Mapping[str, Receipts]) -> None:
        self._receipts = receipts
        self._under_way: set[tuple[bytes, str, bytes]] = set()

    async def carry_out(
        self, keyed: Keyed | None, file: str | None, handler: Callable[[Once], Awaitable[Response]]
    ) -> Response:
        """The handler's answer. Raises ``Problem``: 409 while the same key is at work, 422 for another request.

        ``file`` is None for a route without an effect, which can as well answer again.
        """
        if keyed is None or file is None:
            return await handler(Once())
        with self._alone(keyed):
            # Of a body that only the handler reads there is nothing in it.
            receipts, fingerprint = self._receipts[file], keyed.fingerprint
            once = Once(keyed, fingerprint, await self._earlier(keyed, receipts))
            try:
                response = await handler(once)
            except Problem as problem:
                # A call that nobody waits for any more may have had its effect just now, and stand in our way. What
                # reads its body by itself cannot start over, and asks what stands with every transaction.
                again = keyed.fingerprint == fingerprint and once.earlier is None
                if again and await self._earlier(keyed, receipts) is not None:
                    raise Stale("the same call was carried out meanwhile") from problem
                raise
        if once.repeated:
            response.headers[REPLAYED] = "true"
        return response

    async def _earlier(self, keyed: Keyed, receipts: Receipts) -> Receipt | None:
        found = await receipts.find(keyed.account, keyed.route, keyed.key, now=_now())
        if found is not None and found.fingerprint != keyed.fingerprint:
            raise reused()
        return found

    @contextmanager
    def _alone(self, keyed: Keyed) -> Iterator[None]:
        who = (keyed.account, keyed.route, keyed.key)
        if who in self._under_way:
            raise Problem(
                "idempotency-key-in-use",
                f"A request with this {HEADER} is being carried out: ask again for its answer.",
                headers={"Retry-After": str(_RETRY_AFTER_S)},
            )
        self._under_way.add(who)
        try:
            yield
        finally:
            self._under_way.discard(who)


def reused() -> Problem:
    """The problem of a key that another request came with."""
    return Problem("idempotency-key-reused", f"This {HEADER} was sent with another request: take a new one.")


def keyed_request(request: Request, account: bytes, route: str) -> Keyed | None:
    """The request with its key; None without one. Raises ``Problem`` 400."""
    fields = request.headers.getlist(HEADER)
    if not fields:
        return None
    try:
        return Keyed(request, account, route, read_idempotency_key(fields))
    except BadIdempotencyKey as error:
        raise Problem("bad-idempotency-key", str(error)) from None


def _now() -> int:
    return time.time_ns() // 1_000_000
