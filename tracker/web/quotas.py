"""How many requests an API key may make, and all keys of an account together, in the memory of this process."""

import time
from collections.abc import Callable, Mapping

from ..domain.meters import Meter, Rate, Use
from ..storage.api_keys import Access
from .problems import Problem

RATE_LIMIT, RATE_LIMIT_POLICY = "RateLimit", "RateLimit-Policy"

_MOST_NAMES = 100_000


class Quotas:
    """A quota for each key and one for each account: nobody has a part in that of another."""

    def __init__(self, key: Rate, account: Rate, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._meters = {"key": Meter(key, most_names=_MOST_NAMES), "account": Meter(account, most_names=_MOST_NAMES)}
        self._clock = clock
        policies = {"key": key, "account": account}.items()
        self._policy = ", ".join(f'"{policy}";q={rate.quota};w={rate.window_s}' for policy, rate in policies)

    def take(self, access: Access) -> Mapping[str, str]:
        """Count a request, and give the fields that say what is left (draft-ietf-httpapi-ratelimit-headers).

        Raises ``Problem`` 429, with the request not counted, when a quota is used up.
        """
        now, names = self._clock(), {"key": access.key, "account": access.account}
        uses = {policy: meter.use(names[policy], now) for policy, meter in self._meters.items()}
        if violated := [policy for policy, use in uses.items() if use.left == 0]:
            raise self._exceeded({policy: uses[policy] for policy in violated})
        return self._fields({policy: meter.count(names[policy], now) for policy, meter in self._meters.items()})

    def _fields(self, uses: Mapping[str, Use]) -> dict[str, str]:
        left = ", ".join(f'"{policy}";r={use.left};t={use.resets_in_s}' for policy, use in uses.items())
        return {RATE_LIMIT_POLICY: self._policy, RATE_LIMIT: left}

    def _exceeded(self, violated: Mapping[str, Use]) -> Problem:
        first = next(iter(violated))
        rate = self._meters[first].rate
        wait_s = max(use.resets_in_s for use in violated.values())
        problem = Problem(
            "quota-exceeded",
            f"{_WHO[first]} may make {rate.quota:,} requests in {rate.window_s:,} s: ask again in {wait_s:,} s.",
            headers={"Retry-After": str(wait_s), **self._fields(violated)},
        )
        problem.members["violated-policies"] = list(violated)
        return problem


_WHO = {"key": "This API key", "account": "All API keys of this account together"}
