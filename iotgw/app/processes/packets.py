"""What one of several processes and its supervisor tell each other: packets of MessagePack on a socket between them, and sockets beside these."""

from __future__ import annotations

import msgspec

from iotgw.app.processes.kept_ports import PortWanted

FILE = 3
"""The number under which a process has its end of the socket."""
VARIABLE = "IOTGW_SUPERVISOR"
"""Set in the environment of a process that has a supervisor."""
LONGEST = 4096
"""Bytes of a packet."""


class Packet(msgspec.Struct, frozen=True, array_like=True):
    """What a process says: it asks for a port (``open``), has closed one (``closed``), or has started (``ready``). The answer to ``open`` is a number:
    0 with a socket beside it, or else the system's number of what went wrong."""

    what: str
    wanted: PortWanted | None = None


decode = msgspec.msgpack.Decoder(Packet).decode
encode = msgspec.msgpack.encode
