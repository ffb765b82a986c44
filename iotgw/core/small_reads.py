"""How much of a connection is read before others have their turn."""

from __future__ import annotations

from typing import Any


def read_at_most(transport: Any, size: int) -> None:
    """Have no more than ``size`` bytes read at a time. ``transport`` may stand on others: TLS, a WebSocket, or both; who asks for least
    is heard."""
    while (below := getattr(transport, "transport", None)) is not None:
        transport = below
    transport.bufferSize = min(size, getattr(transport, "bufferSize", size))
