"""Defence against floods and forged addresses: the token bucket, Echo (RFC 9175), and the bounds of what goes to addresses
that haven't proved to be real."""

from __future__ import annotations

import hmac
from collections.abc import Hashable
from hashlib import blake2s

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import Message, encode_options
from iotgw.wire.coap.peers import Peer
from iotgw.wire.coap.timing import Policy

ECHO_LIFETIME = 60.0
"""Seconds for which an Echo value is accepted: a few retransmissions of a slow device."""
_MAC_SIZE = 8


def wait_for_token(peer: Peer, policy: Policy, now: float) -> float:
    """Take a token from the peer's bucket: 0.0, or the seconds until there is one."""
    tokens = (
        policy.burst if peer.tokens < 0 else min(policy.burst, peer.tokens + (now - peer.stamp) * policy.rate)
    )
    peer.stamp = now
    if tokens >= 1:
        peer.tokens = tokens - 1
        return 0.0
    peer.tokens = tokens
    return (1 - tokens) / policy.rate


class Echo:
    """Echo values without a table: a time and a MAC over it and the address (RFC 9175 §2.4 and appendix A)."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def value(self, remote: Hashable, now: float) -> bytes:
        """What this address must echo."""
        stamp = (int(now) & 0xFFFFFFFF).to_bytes(4, "big")
        return stamp + self._mac(stamp, remote)

    def is_fresh(self, value: bytes, remote: Hashable, now: float) -> bool:
        """Whether this value was issued here for this address recently."""
        stamp, mac = value[:4], value[4:]
        age = (int(now) - int.from_bytes(stamp, "big")) & 0xFFFFFFFF
        return age <= ECHO_LIFETIME and hmac.compare_digest(mac, self._mac(stamp, remote))

    def _mac(self, stamp: bytes, remote: Hashable) -> bytes:
        return blake2s(stamp + repr(remote).encode(), key=self._key, digest_size=_MAC_SIZE).digest()


def bounded(response: Message, request: Message, peer: Peer, now: float) -> Message:
    """An error for an address that may be forged: no more goes there than came from it, so its text is cut."""
    if peer.verified > now:
        return response
    room = size_of(request) - size_of(Message(response.code, b"", response.options)) - len(request.token) - 1
    if len(response.payload) <= room:
        return response
    is_text = response.options.get(n.CONTENT_FORMAT) is None
    text = response.payload[: max(0, room)].decode("utf-8", "ignore") if is_text else ""
    return Message(response.code, text.encode(), response.options)


def size_of(message: Message) -> int:
    """Bytes of a message as a datagram."""
    size = 4 + len(message.token) + len(encode_options(message.options))
    return size + 1 + len(message.payload) if message.payload else size
