"""``python -m tests.fuzz.flood [MESSAGES]``: a million unique Message IDs from a hundred thousand addresses.

Prints what a remembered message costs, and what is left an hour later.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.endpoint import Endpoint
from iotgw.wire.coap.message import encode, options, uri_options
from tests.conformance.site import make_site

PAGE = 4096


def resident() -> int:
    """Resident memory in bytes."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def flood(messages: int, per_peer: int = 10) -> tuple[Endpoint, int]:
    """An endpoint after a flood, and by how many bytes it has grown."""
    now = [1000.0]
    endpoint = Endpoint(make_site(), lambda data, remote: None, lambda: now[0])
    opts = options(*uri_options("i"))
    before = resident()
    for number in range(messages):
        address = (f"10.{number // per_peer >> 16 & 255}.0.1", number // per_peer & 0xFFFF)
        token = number.to_bytes(4, "big")
        endpoint.datagram(encode(n.CON, n.POST, number & 0xFFFF, token, opts, b"x" * 24), address, now[0])
        now[0] += 0.0001
    return endpoint, resident() - before


def main() -> None:
    messages = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    endpoint, grown = flood(messages)
    held = len(endpoint.remembered)
    print(
        f"{messages} messages: {held} remembered, {endpoint.remembered.evicted} evicted, "
        f"{len(endpoint.peers)} peers, {grown / 2**20:.0f} MiB more, {grown / held:.0f} bytes each with its peer"
    )
    now = endpoint.clock() + 3600
    while (due := endpoint.poll(now)) is not None:
        now = max(now, due)
    print(f"an hour later: {len(endpoint.remembered)} remembered, {len(endpoint.peers)} peers")
    assert not len(endpoint.remembered) and not len(endpoint.peers)


if __name__ == "__main__":
    main()
