"""Stateless cookies (RFC 6347 §4.2.1): a MAC that only the owner of the address can send back.

The cookie covers the peer's address, the hello's version, random and session id, and the time, in ticks, so that it
ages. These stand in the first fragment of a hello, so that one which comes in fragments (perhaps only since the cookie
made it longer) proves its address as well. The client's other parameters are protected by its Finished message.
The only state is the secret; nothing is kept per peer.
"""

from __future__ import annotations

import hmac

from iotgw.wire.dtls.hello import HelloHead

SIZE = 16
TICK = 60.0
"""Seconds per tick. A cookie is valid for one to two ticks, longer than any modem's round trip."""


class Cookies:
    """Makes and checks cookies with one secret (32 random bytes)."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def make(self, hello: HelloHead, address: tuple[str, int], now: float) -> bytes:
        """The cookie for a hello from an address at a time (seconds)."""
        return self._mac(hello, address, int(now // TICK))

    def holds(self, hello: HelloHead, address: tuple[str, int], now: float) -> bool:
        """Whether the hello's cookie was issued for this address and is not too old."""
        if len(hello.cookie) != SIZE:
            return False
        tick = int(now // TICK)
        return hmac.compare_digest(hello.cookie, self._mac(hello, address, tick)) or hmac.compare_digest(
            hello.cookie, self._mac(hello, address, tick - 1)
        )

    def _mac(self, hello: HelloHead, address: tuple[str, int], tick: int) -> bytes:
        # Each variable part is delimited: a host has no NUL, and the hello's part comes last.
        covered = b"%s\0%d\0%d\0%s" % (address[0].encode(), address[1], tick, hello.fixed)
        return hmac.digest(self._secret, covered, "sha256")[:SIZE]
