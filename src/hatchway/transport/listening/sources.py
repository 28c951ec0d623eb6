"""Rate limits against denial of service: what each source of connections may cost before a client from it has
authenticated.

Each source has a budget, a token bucket: a connection takes one token, and gives it back when its request
turns out to be signed by an active key. So legitimate clients never notice, even if they are many at once; a
flood soon uses up the budget and is reset before TLS, at a hundredth of the cost. No source is banned for a
time: tokens are added each second, even during a flood, so that someone who shares an address with an
attacker has a chance meanwhile, and full access right afterwards.

All sources together have another budget, because an attacker may have many sources. Known sources, from which
a client succeeded recently, are exempt from it: unknown sources wait for each other, and known ones never
wait for unknown ones.
"""

from __future__ import annotations

from socket import AF_INET6, inet_pton
from typing import TYPE_CHECKING, Final

from hatchway.transport.listening.failures import MOST, FailureLimit

if TYPE_CHECKING:
    from collections.abc import Callable

Source = str | bytes
"""Where connections come from: an IPv4 address, or the /64 of an IPv6 address."""

MAY_WASTE: Final = 256
"""Connections that one source may have wasted or under way, not counting tokens added since."""

MAY_WASTE_RATE: Final = 1.0
"""Tokens added each second. A check whether the port answers, every second or two, wastes one each time."""

ALL_MAY_WASTE: Final = 200
"""The same for all sources together: when it is used up, unknown sources are queued."""

ALL_MAY_WASTE_RATE: Final = 10.0
"""Tokens added each second. A handshake and a recorded refusal take up to 3 ms, so all of them take 3 % of
the event loop's time."""

MAY_BE_REFUSED: Final = 256
"""Requests of one source that may be signed by active keys and yet be refused, not counting tokens added
since."""

MAY_BE_REFUSED_RATE: Final = 10.0
"""Tokens added each second: these, too, take 3 % of the event loop's time."""

KNOWN_SECONDS: Final = 86_400.0
"""Seconds for which a source and a key are known after the key was granted its request from there."""

REMEMBERED: Final = 65_536
"""Sources that are remembered, those that began last, and as many known sources: about 10 MB each."""

_SITE: Final = 8
"""Bytes of an IPv6 address that identify a source: whoever has an address has the /64 that contains it."""

_WIDER: Final = (4, 6, 7)
"""Bytes of the IPv6 networks around a site: a provider's /32, a customer's /48 or /56."""


def source_of(address: str) -> Source:
    """The source that an address belongs to. The address has no zone and is as the kernel or `ipaddress`
    writes it."""
    if ":" not in address:
        return address
    if "." in address:
        # IPv4-mapped (RFC 4291 section 2.5.5.2).
        return address.rpartition(":")[2]
    return inet_pton(AF_INET6, address)[:_SITE]


def prefixes_of(source: Source) -> tuple[Source, ...]:
    """The networks that contain a source, the largest first, and finally the source itself.

    For IPv4 the /16 and the /24; for IPv6 the /32, the /48 and the /56 (RIPE-690 section 4.2 has the sizes
    that providers assign).
    """
    if isinstance(source, bytes):
        return (*(source[:size] for size in _WIDER), source)
    first, second, third, _ = source.split(".")
    return (f"{first}.{second}", f"{first}.{second}.{third}", source)


class _Balance:
    """A token bucket."""

    __slots__ = ("_at", "left")

    def __init__(self, left: float, now: float) -> None:
        self.left = left
        self._at = now

    def grow(self, now: float, rate: float, most: float) -> None:
        self.left = min(most, self.left + (now - self._at) * rate)
        self._at = now


class Sources:
    """The sources of one worker's connections, and the outcome of those connections."""

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        may_waste: int = MAY_WASTE,
        may_waste_rate: float = MAY_WASTE_RATE,
        all_may_waste: int = ALL_MAY_WASTE,
        all_may_waste_rate: float = ALL_MAY_WASTE_RATE,
        may_fail: int = MOST,
        remembered: int = REMEMBERED,
    ) -> None:
        """`clock` gives monotonic seconds; rates are per second."""
        self._clock = clock
        self._may_waste = may_waste
        self._rate = may_waste_rate
        self._all_may_waste = all_may_waste
        self._all_rate = all_may_waste_rate
        self._remembered = remembered
        self._failures = FailureLimit(clock, most=may_fail, sources=remembered)
        self._refusals: dict[Source, _Balance] = {}
        # Sources that have wasted nothing are not in here.
        self._balances: dict[Source, _Balance] = {}
        self._all = _Balance(all_may_waste, clock())
        # Until when; the latest come last.
        self._known: dict[Source | tuple[Source, str], float] = {}

    def __len__(self) -> int:
        """Sources that have something under way, or have wasted something and have not been forgotten."""
        return len(self._balances)

    # Called for each connection, in this order.

    def admits(self, source: Source) -> bool:
        """Whether one more connection of this source is accepted. If so, it counts as wasted until its
        request has authenticated."""
        balance = self._balances.get(source)
        now = self._clock()
        if balance is None:
            if len(self._balances) >= self._remembered:
                del self._balances[next(iter(self._balances))]
            balance = self._balances[source] = _Balance(self._may_waste, now)
        else:
            balance.grow(now, self._rate, self._may_waste)
        if balance.left < 1:
            return False
        balance.left -= 1
        return True

    def knows(self, source: Source) -> bool:
        """Whether a client from there succeeded recently: then its connections are not queued."""
        return self._knows(source)

    def unknown_may_begin(self) -> bool:
        """Whether one more connection of an unknown source may be served now."""
        self._all.grow(self._clock(), self._all_rate, self._all_may_waste)
        return self._all.left >= 1

    def begins(self) -> None:
        """A connection begins with TLS. It, too, counts as wasted until it turns out not to be.

        The debt has a limit, so that what known sources cause does not lock unknown ones out for long.
        """
        self._all.left = max(self._all.left - 1, -self._all_may_waste)

    def may_authenticate(self, address: str, key_id: str) -> bool:
        """Whether a request from this address, which claims to be signed with this key, may be examined now.

        After too many failures of a source, only those keys may that succeeded from there recently, until
        they fail too often themselves: their owners need not suffer for what others at the same address do.
        """
        source = source_of(address)
        if not self._failures.reached(source):
            return True
        key = source, key_id
        return self._knows(key) and not self._failures.reached(key)

    # The outcome of each connection: at most one of these is called.

    def failed(self, address: str, key_id: str) -> None:
        """A request from this address, which claims to be signed with this key, failed to authenticate."""
        source = source_of(address)
        self._failures.failed(source)
        key = source, key_id
        if self._knows(key):
            self._failures.failed(key)

    def authenticated(self, address: str) -> None:
        """A request from this address was signed by an active key: its connection was not wasted."""
        self._all.left = min(self._all_may_waste, self._all.left + 1)
        source = source_of(address)
        balance = self._balances.get(source)
        if balance is None:
            return
        balance.left += 1
        if balance.left >= self._may_waste:
            del self._balances[source]

    def refused(self, address: str) -> None:
        """Like `authenticated`, but the request is not allowed.

        The owner of a key could send such requests without end. So beyond a rate they count as wasted after
        all.
        """
        source, now = source_of(address), self._clock()
        balance = self._refusals.pop(source, None) or _Balance(MAY_BE_REFUSED, now)
        balance.grow(now, MAY_BE_REFUSED_RATE, MAY_BE_REFUSED)
        if balance.left >= 1:
            balance.left -= 1
            self.authenticated(address)
        self._refusals[source] = balance
        if len(self._refusals) > self._remembered:
            del self._refusals[next(iter(self._refusals))]

    def admitted(self, address: str, key_id: str) -> None:
        """Like `authenticated`, and the request is granted, under this key."""
        self.authenticated(address)
        source = source_of(address)
        until = self._clock() + KNOWN_SECONDS
        for known in (source, (source, key_id)):
            self._known.pop(known, None)
            self._known[known] = until
        while len(self._known) > self._remembered:
            del self._known[next(iter(self._known))]

    def _knows(self, what: Source | tuple[Source, str]) -> bool:
        return self._clock() < self._known.get(what, 0.0)
