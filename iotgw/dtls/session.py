"""Sessions, and the table that bounds them.

One address has up to two slots: an established session, and a handshake under way. A device that restarted
on the same port thus gets a new session without an attacker being able to end the old one: the old one goes
when the new handshake is complete.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from iotgw.dtls.engine import IEngine
from iotgw.dtls.identity import ANONYMOUS, Identity

Address = tuple[Any, ...]
"""``(host, port)``, with flow and scope behind in IPv6."""


class Handshake:
    """A handshake under way: half-open, and cheap to drop."""

    __slots__ = ("address", "due", "encrypted", "engine", "random", "received", "sent", "since")

    def __init__(self, address: Address, engine: IEngine, random: bytes, now: float, due: float) -> None:
        self.address = address
        self.engine = engine
        self.random = random
        self.since = now
        self.due = due  # when our flight should be sent again
        self.encrypted = 0  # datagrams with encrypted records that didn't complete the handshake
        self.received = self.sent = 0


class DtlsSession:
    """An established session; a CoAP endpoint's ``remote``: hashable, and the same while the address changes.

    ``mtu`` is the most plaintext bytes per datagram; ``received`` and ``sent`` count bytes of UDP payload
    with the handshake's; ``data`` is room for facts that whoever uses the session has found out.
    """

    __slots__ = (
        "address", "cipher", "data", "engine", "id", "identity", "mtu", "random", "received", "sent", "since", "used",
    )  # fmt: skip

    def __init__(self, id: str, handshake: Handshake, now: float) -> None:
        engine = handshake.engine
        self.id = id
        self.address = handshake.address
        self.engine = engine
        self.random = handshake.random
        self.identity: Identity = engine.identity or ANONYMOUS
        self.cipher = engine.cipher
        self.mtu = engine.mtu
        self.since = self.used = now
        self.received, self.sent = handshake.received, handshake.sent
        self.data: dict[str, Any] | None = None

    @property
    def proved(self) -> str:
        """The device that the peer has proved to be; empty for none."""
        return self.identity.device if self.identity.type != "none" else ""

    def __repr__(self) -> str:
        host, port = self.address[:2]
        return f"<Session {self.id} {self.identity.type}:{self.identity.name} at {host}:{port}>"


class SessionTable:
    """Established sessions by address, least recently used first; by IP address too, if ``by_host``."""

    def __init__(self, by_host: bool = False) -> None:
        self._sessions: OrderedDict[Address, DtlsSession] = OrderedDict()
        self._hosts: dict[str, OrderedDict[DtlsSession, None]] | None = {} if by_host else None
        self.get = self._sessions.get

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[DtlsSession]:
        return iter(tuple(self._sessions.values()))

    def add(self, session: DtlsSession) -> DtlsSession | None:
        """Add a session; the one that was at its address, which is out now."""
        replaced = self._sessions.get(session.address)
        if replaced is not None:
            self.remove(replaced)
        self._sessions[session.address] = session
        if self._hosts is not None:
            self._hosts.setdefault(session.address[0], OrderedDict())[session] = None
        return replaced

    def remove(self, session: DtlsSession) -> None:
        """Take a session out, if it is in."""
        if self._sessions.get(session.address) is not session:
            return
        del self._sessions[session.address]
        if self._hosts is not None:
            here = self._hosts[session.address[0]]
            del here[session]
            if not here:
                del self._hosts[session.address[0]]

    def touch(self, session: DtlsSession, now: float) -> None:
        """Note that a session was used."""
        session.used = now
        self._sessions.move_to_end(session.address)
        if self._hosts is not None:
            self._hosts[session.address[0]].move_to_end(session)

    def move(self, session: DtlsSession, address: Address) -> DtlsSession | None:
        """Give a session a new address; the session that was there, which is out now."""
        self.remove(session)
        session.address = address
        return self.add(session)

    def oldest(self) -> DtlsSession | None:
        """The least recently used session."""
        return next(iter(self._sessions.values()), None)

    def at_host(self, host: str, most: int) -> list[DtlsSession]:
        """Up to ``most`` sessions of an IP address, most recently used first."""
        here = self._hosts.get(host) if self._hosts is not None else None
        if here is None:
            return []
        recent = reversed(here)
        return [session for session, _ in zip(recent, range(most), strict=False)]
