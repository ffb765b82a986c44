"""ClientHellos until their address is proved: cookies, and fragments put together.

Nothing is kept for an address that has not returned a cookie. A hello may come in fragments: the first one holds the
cookie, which proves the address. Only then are its fragments kept, up to a number of hellos and a size of each.
"""

from __future__ import annotations

from collections import Counter, OrderedDict

from iotgw.core.errors import ProtocolError
from iotgw.dtls.session import Address
from iotgw.wire.dtls.cookie import Cookies
from iotgw.wire.dtls.hello import (
    ClientHello,
    HelloFragment,
    hello_fragments,
    hello_verify_request,
    parse_body,
    parse_head,
    whole_hello,
)

_LONGEST = 4096
_MOST_FRAGMENTS = 64


class _Assembly:
    """A hello of a proved address, of which fragments are missing."""

    __slots__ = ("body", "ends", "first", "random", "since")

    def __init__(self, first: HelloFragment, random: bytes, now: float) -> None:
        self.first = first
        self.random = random
        self.since = now
        self.body = bytearray(first.length)
        self.ends: dict[int, int] = {}  # where each fragment begins → ends

    def add(self, fragment: HelloFragment) -> HelloFragment | None:
        """Take a fragment; the whole hello, once it is."""
        begin, end = fragment.offset, fragment.offset + len(fragment.data)
        if fragment.length != self.first.length or (
            begin not in self.ends and len(self.ends) >= _MOST_FRAGMENTS
        ):
            return None
        self.body[begin:end] = fragment.data
        self.ends[begin] = max(end, self.ends.get(begin, 0))
        reached = 0
        for begin, end in sorted(self.ends.items()):
            if begin > reached:
                return None
            reached = max(reached, end)
        if reached < len(self.body):
            return None
        first = self.first
        return HelloFragment(first.version, first.sequence, first.message, first.length, 0, bytes(self.body))


class Hellos:
    """Takes ClientHellos. ``secret`` is for the cookies, ``most`` how many hellos in fragments are kept, ``timeout``
    for how many seconds. ``counters`` counts."""

    def __init__(self, secret: bytes, most: int, timeout: float, counters: Counter[str]) -> None:
        self._cookies = Cookies(secret)
        self._most = most
        self._timeout = timeout
        self._counters = counters
        self._assemblies: OrderedDict[Address, _Assembly] = OrderedDict()

    def __len__(self) -> int:
        return len(self._assemblies)

    def take(self, datagram: bytes, address: Address, now: float) -> bytes | tuple[ClientHello, bytes] | None:
        """Take a datagram that starts with a ClientHello or a part of one.

        Returns the HelloVerifyRequest to answer with, or the hello of a proved address with its record (that of its first
        fragment, as if it were whole), or None when there is nothing to do yet.
        """
        try:
            for fragment in hello_fragments(datagram):
                if fragment.is_whole:
                    hello = parse_body(fragment)
                    if self._cookies.holds(hello, address, now):
                        self._assemblies.pop(address, None)
                        return hello, whole_hello(fragment)
                    self._counters["cookies"] += 1
                    return hello_verify_request(hello, self._cookies.make(hello, address, now))
                taken = self._part(fragment, address, now)
                if taken is not None:
                    return taken
        except ProtocolError:
            self._counters["badHellos"] += 1
        return None

    def expire(self, now: float) -> list[tuple[Address, bytes]]:
        """Forget the hellos that did not become whole in time: their addresses and randoms."""
        late = []
        for address, assembly in self._assemblies.items():  # in the order in which they began
            if now < assembly.since + self._timeout:
                break
            late.append((address, assembly.random))
        for address, _ in late:
            del self._assemblies[address]
        return late

    def _part(
        self, fragment: HelloFragment, address: Address, now: float
    ) -> bytes | tuple[ClientHello, bytes] | None:
        assembly = self._assemblies.get(address)
        if not fragment.offset:
            head = parse_head(fragment)
            if not self._cookies.holds(head, address, now):
                self._counters["cookies"] += 1
                return hello_verify_request(head, self._cookies.make(head, address, now))
            if fragment.length > _LONGEST:
                raise ProtocolError(
                    f"expected a ClientHello of at most {_LONGEST} bytes, got {fragment.length}"
                )
            if assembly is None or assembly.random != head.random:
                assembly = self._begin(fragment, head.random, address, now)
        if assembly is None:
            self._counters["strayFragments"] += 1
            return None
        whole = assembly.add(fragment)
        if whole is None:
            return None
        del self._assemblies[address]
        self._counters["assembledHellos"] += 1
        return parse_body(whole), whole_hello(whole)

    def _begin(self, first: HelloFragment, random: bytes, address: Address, now: float) -> _Assembly:
        self._assemblies.pop(address, None)
        while len(self._assemblies) >= self._most:
            self._assemblies.popitem(last=False)
            self._counters["handshakesEvicted"] += 1
        assembly = self._assemblies[address] = _Assembly(first, random, now)
        return assembly
