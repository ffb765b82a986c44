"""Transmission parameters (RFC 7252 §4.8) and what a resource allows: its `Policy`."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, structs

MAX_LATENCY = 100.0
"""Seconds that a datagram may take at most (RFC 7252 §4.8.2)."""


class Timing(Struct, frozen=True):
    """How a Confirmable message is retransmitted, in seconds, and what follows from that.

    The first timeout is ``ack_timeout`` times a random factor between 1 and ``ack_random_factor``; it
    doubles with each of at most ``max_retransmit`` retransmissions.
    """

    ack_timeout: float = 2.0
    ack_random_factor: float = 1.5
    max_retransmit: int = 4

    def __post_init__(self) -> None:
        if self.ack_timeout <= 0 or self.ack_random_factor < 1 or not 0 <= self.max_retransmit <= 20:
            raise ValueError("expected ack_timeout > 0, ack_random_factor >= 1 and max_retransmit 0 to 20")

    @property
    def max_transmit_span(self) -> float:
        """Seconds from the first transmission to the last one."""
        return self.ack_timeout * (2.0**self.max_retransmit - 1) * self.ack_random_factor

    @property
    def max_transmit_wait(self) -> float:
        """Seconds from the first transmission until the sender gives up."""
        return self.ack_timeout * (2.0 ** (self.max_retransmit + 1) - 1) * self.ack_random_factor

    @property
    def exchange_lifetime(self) -> float:
        """Seconds for which the Message ID of a Confirmable message must not be reused."""
        return self.max_transmit_span + 2 * MAX_LATENCY + self.ack_timeout

    @property
    def non_lifetime(self) -> float:
        """Seconds for which the Message ID of a Non-confirmable message must not be reused."""
        return self.max_transmit_span + MAX_LATENCY


DEFAULT = Timing()

NB_IOT = Timing(ack_timeout=10.0, ack_random_factor=1.5, max_retransmit=3)
"""NB-IoT answers take seconds: modems' own stacks wait 10 to 15 s for an acknowledgement."""

LOBARO = Timing(ack_timeout=8.0, ack_random_factor=1.5, max_retransmit=3)
"""What Lobaro's public CoAP stack is built with."""

TimingName = Literal["default", "nb-iot", "lobaro"]
TIMINGS: dict[TimingName, Timing] = {"default": DEFAULT, "nb-iot": NB_IOT, "lobaro": LOBARO}
"""By the names that settings call them."""


class Policy(Struct, frozen=True):
    """What a resource allows its peers, and the timing of what is sent to them.

    Sizes are bytes, times seconds. ``rate`` is requests per second and peer with bursts of ``burst``;
    0 is unlimited. ``amplification`` bounds a reply to a safe request from a peer whose address is not
    known to be real: at most that many times the request, or the peer must echo first (RFC 9175 §2.4);
    0 sends one block at most and asks for nothing. ``match_content``: a known Message ID with other bytes
    is a new message, for modems that start over after a reboot. ``lenient`` are the quirks that are forgiven
    (`iotgw.wire.coap.lenient`). ``proves``: a peer at an address that may be forged gets no more of our requests than came from it
    until it has answered (`iotgw.wire.coap.proving`). ``response_timeout``: how long a peer may take to answer a request that it has
    acknowledged; 0 is MAX_TRANSMIT_WAIT of ``timing``.
    """

    timing: Timing = DEFAULT
    empty_ack_delay: float = 0.5
    max_body: int = 1 << 20
    block_timeout: float = 30.0
    block_size: int = 1024
    max_uploads: int = 16
    rate: float = 0.0
    burst: float = 10.0
    amplification: float = 0.0
    match_content: bool = True
    confirmable_notifications: bool = True
    max_observers: int = 1000
    lenient: frozenset[str] = frozenset()
    proves: bool = False
    response_timeout: float = 0.0

    def within(self, block_size: int) -> Policy:
        """The policy for a peer that takes blocks of at most ``block_size`` bytes."""
        return self if block_size >= self.block_size else structs.replace(self, block_size=block_size)


DEFAULT_POLICY = Policy()
