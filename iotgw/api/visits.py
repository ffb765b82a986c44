"""The connections of an HTTP listener: how many there may be, of one address and altogether, and how long a request may take
to come in.

A connection counts for as long as its request is being answered. One that only waits, or sends its request slowly, gives
its place up when a new one comes and there is none left: those that were never served first, and of these the one that
has been there for longest. So a thousand that trickle keep nobody out.
"""

from __future__ import annotations

import ipaddress
from collections import Counter, OrderedDict
from collections.abc import Callable
from enum import Enum

from twisted.internet.interfaces import ITCPTransport

OF_ADDRESS = 500
"""Connections of one address, which may be that of a whole network behind a translator."""
IDLE = 60.0
"""Seconds until a connection must have sent a request's first line, from its beginning or from the last answer."""
HEAD = 20.0
"""Seconds that a request's head may take. A modem sends it in a packet or two, each perhaps three times."""
WHOLE = 120.0
"""Seconds that a whole request may take: a body of 300 kB at NB-IoT's 20 kbit/s."""


Tell = Callable[[str, str], None]


class Stage(Enum):
    """What a connection is doing; the value is how long it may, in seconds."""

    WAITING = IDLE
    SENDING_HEAD = HEAD
    SENDING_BODY = WHOLE
    SERVED = float("inf")


class Visit:
    """One connection. ``since`` is when it began to wait, or its request's first line came; in seconds."""

    __slots__ = ("address", "is_known", "is_spare", "origin", "since", "stage")

    def __init__(self, address: str, now: float, is_spare: bool) -> None:
        self.address = address
        self.origin = origin_of(address)
        self.since = now
        self.stage = Stage.WAITING
        self.is_known = False
        """Whether it was served before."""
        self.is_spare = is_spare
        """Whether it has a place beyond these, as `iotgw.api.spare_places` gives them."""


class Visits:
    """At most ``most`` connections, ``of_origin`` of one address each, but for those that ``is_proxy`` says. Times are
    passed in, in seconds. ``tell(address, message)`` hears of those that were cut off."""

    def __init__(
        self,
        most: int,
        of_origin: int = OF_ADDRESS,
        is_proxy: Callable[[str], bool] = lambda address: False,
        tell: Tell = lambda address, message: None,
    ) -> None:
        self._tell = tell
        self._most = most
        self._of_origin = of_origin
        self._is_proxy = is_proxy
        self._visits: OrderedDict[ITCPTransport, Visit] = OrderedDict()
        """Who has waited for longest stands first."""
        self._origins: Counter[str] = Counter()
        self._spare = 0
        self._leaving: set[ITCPTransport] = set()
        """Those that were cut off, and hold their descriptors until the reactor's next turn."""

    def make_room(self, address: str) -> bool:
        """Whether a connection from this address may come; another one is cut off for it if need be."""
        origin = origin_of(address)
        if self._origins[origin] >= self._of_origin and not self._is_proxy(address):
            return self._cut_one_off(origin)
        if len(self._visits) - self._spare >= self._most:
            return self._cut_one_off("")
        return True

    def enter(
        self, transport: ITCPTransport, address: str, now: float, is_spare: bool = False
    ) -> Callable[[], None]:
        """A new connection; call the function that this returns when it is gone."""
        visit = self._visits[transport] = Visit(address, now, is_spare)
        if is_spare:
            self._spare += 1
        else:
            self._origins[visit.origin] += 1

        def gone() -> None:
            self._leaving.discard(transport)
            self._remove(transport)

        return gone

    def begins(self, transport: object, now: float) -> None:
        """A request's first line came."""
        self._note(transport, Stage.SENDING_HEAD, now)

    def has_head(self, transport: object) -> None:
        """A request's head is complete."""
        self._note(transport, Stage.SENDING_BODY)

    def is_served(self, transport: object) -> None:
        """A request is complete, and is being answered."""
        self._note(transport, Stage.SERVED)

    def waits(self, transport: object, now: float, is_known: bool) -> None:
        """A request was answered; ``is_known`` is whether it was a good one."""
        self._note(transport, Stage.WAITING, now)
        visit = self._visits.get(transport)  # type: ignore[call-overload]
        if visit is not None:
            visit.is_known = visit.is_known or is_known
            self._visits.move_to_end(transport)  # type: ignore[arg-type]

    def sweep(self, now: float) -> None:
        """Cut those off that take too long."""
        late = [each for each, visit in self._visits.items() if now - visit.since > visit.stage.value]
        for transport in late:
            visit = self._visits[transport]
            if visit.stage is not Stage.WAITING:
                self._tell(visit.address, "its request took too long to come in")
            self._cut_off(transport)

    def _note(self, transport: object, stage: Stage, since: float | None = None) -> None:
        visit = self._visits.get(transport)  # type: ignore[call-overload]
        if visit is not None:
            visit.stage = stage
            if since is not None:
                visit.since = since

    def _cut_one_off(self, origin: str) -> bool:
        if len(self._leaving) >= max(1, self._most // 8):
            return False  # too many came at once
        found: ITCPTransport | None = None
        for transport, visit in self._visits.items():
            if visit.stage is Stage.SERVED or visit.is_spare or (origin and visit.origin != origin):
                continue
            if not visit.is_known:
                found = transport
                break
            found = found or transport
        if found is None:
            return False
        self._tell(
            self._visits[found].address, "it had no whole request while too many others wanted its place"
        )
        self._cut_off(found)
        return True

    def _cut_off(self, transport: ITCPTransport) -> None:
        self._remove(transport)
        self._leaving.add(transport)
        transport.abortConnection()

    def _remove(self, transport: ITCPTransport) -> None:
        visit = self._visits.pop(transport, None)
        if visit is None:
            return
        if visit.is_spare:
            self._spare -= 1
            return
        self._origins[visit.origin] -= 1
        if not self._origins[visit.origin]:
            del self._origins[visit.origin]


def origin_of(address: str) -> str:
    """Whose connections count together: an IPv4 address, or an IPv6 network of 64 bits, which one machine may have for
    itself."""
    if ":" not in address:
        return address
    try:
        found = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(found) >> 64 << 64, 64)))
