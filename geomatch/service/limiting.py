"""How often: requests of one caller, and credentials that are tried out."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from geomatch.quantities import Seconds, UnixTime

MOST_FAILURES = 5
FAILURES_WITHIN_MIN = 15
LOCKED_S: Seconds = 60.0 * FAILURES_WITHIN_MIN


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one request, and one caller, may ask of the doors."""

    requests_per_minute: int = 60_000
    """Of one caller, where keys are checked: a thousand a second is more than any CAD asks."""
    max_header_bytes: int = 16 * 1024
    max_headers: int = 100


class Rates:
    """Requests of each caller, in whole minutes; in the event loop alone.

    Not the library that counts failures: its store in memory starts a thread every 10 ms while it is asked, 20 us of a
    request against 0.3 here.
    """

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._minute = 0
        self._taken: dict[str, int] = {}

    def take(self, caller: str, now: UnixTime) -> bool:
        """False: it has had them all."""
        minute = int(now // 60)
        if minute != self._minute:
            self._minute, self._taken = minute, {}
        taken = self._taken[caller] = self._taken.get(caller, 0) + 1
        return taken <= self._per_minute


class Lockout:
    """Five wrong secrets within 15 minutes, from one address for one key, and no more are looked at.

    By address and key together: whoever knows a key's id cannot lock its owner out from elsewhere, and a broken device
    behind a proxy does not lock out the CAD behind the same one.
    """

    def __init__(self) -> None:
        self._limit = RateLimitItemPerMinute(MOST_FAILURES, FAILURES_WITHIN_MIN)
        self._failures = MovingWindowRateLimiter(MemoryStorage())
        self._any = False

    def is_locked(self, address: str, name: str) -> bool:
        # Nobody has failed yet, usually: then it costs nothing.
        return self._any and not self._failures.test(self._limit, _network(address), name)

    def failed(self, address: str, name: str) -> None:
        self._any = True
        self._failures.hit(self._limit, _network(address), name)


def _network(address: str) -> str:
    """Whom an address stands for: of IPv6 everybody has 2**64 of them."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ip) if ip.version == 4 else str(ipaddress.ip_network((ip, 64), strict=False))
