"""Whether a peer is where it seems to be: it must answer, and until then no more bytes go to its address than came from there.

A small request may find that out by itself. For a larger one the peer is pinged first (RFC 7252 §4.3). Some devices answer no
ping; they are sent their request as soon as it fits.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import structs

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import encode
from iotgw.wire.coap.peers import PING_SIZE, Peer
from iotgw.wire.coap.timing import Timing
from iotgw.wire.coap.transmission import GAVE_UP, RESET, Transmission, Transmissions

UNPROVED = "nobody answered a ping at the peer's address"
ENOUGH = 3
"""Transmissions for which there must be room before a request goes out without a ping."""


def allowed(peer: Peer, size: int, timing: Timing) -> Timing | None:
    """The timing with which a request of ``size`` bytes may go out now, in place of a ping; None if it may not. What it may
    take is no longer the peer's room."""
    enough = 1 if peer.is_mute else min(ENOUGH, 1 + timing.max_retransmit)
    return spent(peer, size, timing) if peer.room // size >= enough else None


def spent(peer: Peer, size: int, timing: Timing) -> Timing | None:
    """The timing for as many transmissions of ``size`` bytes as the peer has room for; None if it has none."""
    times = min(1 + timing.max_retransmit, peer.room // size)
    if not times:
        return None
    peer.room -= times * size
    return structs.replace(timing, max_retransmit=times - 1)


def ping(
    transmissions: Transmissions, peer: Peer, timing: Timing, now: float, told: Callable[[str], None]
) -> Transmission | None:
    """Ping a peer, unless it is known not to answer that. ``told(reason)`` is called once, with nothing if it is there. Returns None,
    after that call, when nothing may be sent."""
    few = None if peer.is_mute else spent(peer, PING_SIZE, timing)
    if few is None:
        told(UNPROVED)
        return None
    mid = peer.next_mid()

    def ended(reason: str) -> None:
        if reason == GAVE_UP and few.max_retransmit + 1 >= min(ENOUGH, 1 + timing.max_retransmit):
            peer.is_mute = True
        told({RESET: "", GAVE_UP: UNPROVED}.get(reason, reason))

    data = encode(n.CON, n.EMPTY, mid)
    return transmissions.start(peer, mid, data, few, now, lambda message: ended(RESET), ended)
