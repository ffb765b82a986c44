"""The ports that several processes have together. Each process has a socket of its own, and the kernel chooses one by the peer's address.

A UDP socket is kept here as well, so it outlives its process: what comes meanwhile waits in it for the next process, and no other peer
gets another process. A TCP socket goes with its process, and the others take new connections.
"""

from __future__ import annotations

import socket

from msgspec import Struct

UDP, TCP = "udp", "tcp"


class PortWanted(Struct, frozen=True):
    """A port: of UDP or TCP, at an address of this machine, empty for all of IPv4."""

    kind: str
    interface: str
    port: int


class KeptPorts:
    """Processes are numbers. Open ports by what is wanted, each with the processes that have it."""

    def __init__(self) -> None:
        self._kept: dict[PortWanted, dict[int, socket.socket | None]] = {}
        self._asked: dict[int, set[PortWanted]] = {}

    def take(self, wanted: PortWanted, process: int) -> socket.socket:
        """The bound socket of a process, to be `handed` over. Raises OSError where somebody else has the port."""
        held = self._kept.get(wanted, {})
        self._asked.setdefault(process, set()).add(wanted)
        kept = held.get(process)
        if kept is not None:
            return kept
        if not held:  # a shared port wouldn't notice somebody else's, or another gateway's
            _bound(wanted, is_shared=False).close()
        made = _bound(wanted, is_shared=True)
        self._kept.setdefault(wanted, {})[process] = made if wanted.kind == UDP else None
        return made

    def handed(self, wanted: PortWanted, made: socket.socket) -> None:
        """The process has its socket; one of TCP is its alone from now on."""
        if wanted.kind == TCP:
            made.close()

    def give_back(self, wanted: PortWanted, process: int) -> None:
        """A process has closed a port. Its peers get another process of those that have it open."""
        held = self._kept.get(wanted, {})
        if process in held and (kept := held.pop(process)) is not None:
            kept.close()
        if not held:
            self._kept.pop(wanted, None)
        self._asked.get(process, set()).discard(wanted)

    def ended(self, process: int) -> None:
        """A process has ended, and comes back: its UDP sockets wait for it."""
        self._asked.pop(process, None)
        for wanted in [each for each in self._kept if each.kind == TCP]:
            self.give_back(wanted, process)

    def settled(self, process: int) -> None:
        """A process has opened all that it opens: what the one before it had beyond that is closed."""
        for wanted in self._of(process) - self._asked.get(process, set()):
            self.give_back(wanted, process)

    def given_up(self, process: int) -> None:
        """A process doesn't come back for now: the others get its peers."""
        for wanted in self._of(process):
            self.give_back(wanted, process)

    def close(self) -> None:
        """Close everything."""
        for wanted, held in list(self._kept.items()):
            for process in list(held):
                self.give_back(wanted, process)

    def _of(self, process: int) -> set[PortWanted]:
        return {wanted for wanted, held in self._kept.items() if process in held}


def _bound(wanted: PortWanted, *, is_shared: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in wanted.interface else socket.AF_INET
    made = socket.socket(family, socket.SOCK_DGRAM if wanted.kind == UDP else socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        if wanted.kind == TCP:  # as Twisted's ports: connections that are over don't keep it
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        where = (wanted.interface, wanted.port)
        if family == socket.AF_INET6:  # an address with a scope
            flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
            made.bind(socket.getaddrinfo(*where, family, flags=flags)[0][4])
        else:
            made.bind(where)
    except BaseException:
        made.close()
        raise
    return made
