"""A gateway that a test plays, and devices without sockets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from iotgw.core.model import STORED, Answer, Downlink, Metadata, Status
from iotgw.core.ports.datasources import DatasourceContext
from iotgw.core.shared import SharedResources
from iotgw.datasources.http.mounts import HttpMounts

START = 1_795_262_400.0  # 2026-11-21T12:00:00Z


class FakeIntake:
    """Notes what a datasource does. ``auto`` answers each uplink at once."""

    def __init__(self) -> None:
        self.room = True
        self.auto = True
        self.received: list[tuple[bytes, Metadata]] = []
        self.rejected: list[tuple[bytes, Metadata, str]] = []
        self.answers: list[Callable[[Answer], None]] = []
        self.events: list[tuple[str, str]] = []
        self.queue: dict[str, list[Downlink]] = {}
        self._numbers: Counter[str] = Counter()
        self.outcomes: list[tuple[str, str]] = []
        self.sessions: dict[str, Callable[[tuple[Downlink, ...]], None]] = {}
        self._waiting: list[Callable[[], None]] = []
        self.known: set[str] = set()

    def receive(
        self,
        payload: bytes,
        metadata: Metadata,
        answer: Callable[[Answer], None],
        received_ms: int = 0,
        listens: bool = True,
    ):
        if not self.room:
            answer(Answer(Status.BUSY, retry_after=5.0))
            return
        self.received.append((payload, metadata))
        self.answers.append(answer)
        if self.auto:
            self.answer(len(self.answers) - 1)

    def answer(self, number: int, status: Status = Status.STORED) -> None:
        identity = self.received[number][1].get("identity", "")
        items = self.take(identity, 1) if status is Status.STORED else ()
        self.answers[number](
            STORED if not items and status is Status.STORED else Answer(status, "1", 1.0, items)
        )

    def take(self, device: str, limit: int) -> tuple[Downlink, ...]:
        queue = self.queue.get(device, [])
        taken, self.queue[device] = tuple(queue[:limit]), queue[limit:]
        return taken

    def put(self, device: str, *payloads: bytes) -> None:
        queue = self.queue.setdefault(device, [])
        for payload in payloads:
            queue.append(Downlink(f"{device}-{self._numbers[device]}", device, payload))
            self._numbers[device] += 1

    def reject(self, payload: bytes, metadata: Metadata, reason: str) -> None:
        self.rejected.append((payload, metadata, reason))

    def when_room(self, callback: Callable[[], None]) -> None:
        if self.room:
            callback()
        else:
            self._waiting.append(callback)

    def fill(self) -> None:
        self.room = False

    def drain(self) -> None:
        self.room = True
        waiting, self._waiting = self._waiting, []
        for callback in waiting:
            callback()

    def event(self, type: str, message: str, severity: str = "info", **detail: Any) -> None:
        self.events.append((type, message))

    def downlinks(self, device: str, limit: int = 1) -> Deferred[tuple[Downlink, ...]]:
        return succeed(self.take(device, limit))

    def downlink_sent(self, downlink: Downlink) -> None:
        self.outcomes.append((downlink.id, "sent"))

    def downlink_delivered(self, downlink: Downlink) -> None:
        self.outcomes.append((downlink.id, "delivered"))

    def downlink_lost(self, downlink: Downlink, reason: str) -> None:
        self.outcomes.append((downlink.id, f"lost: {reason}"))

    def downlink_offered(self, downlink: Downlink) -> None:
        self.outcomes.append((downlink.id, "offered"))

    def downlink_confirmed(
        self, device: str, delivered: bool, reason: str = "", item: str = ""
    ) -> Deferred[bool]:
        """Notes it for the item, else for the device; of items it knows those in ``known``."""
        self.outcomes.append((item or device, "confirmed" if delivered else f"not confirmed: {reason}"))
        return succeed(not item or item in self.known)

    def downlink_returned(self, downlink: Downlink) -> None:
        self.outcomes.append((downlink.id, "returned"))

    def reachable(self, device: str, send: Callable[[tuple[Downlink, ...]], None]) -> Callable[[], None]:
        self.sessions[device] = send
        return lambda: self.sessions.pop(device, None) and None


def context(intake: FakeIntake, clock: Clock) -> DatasourceContext:
    return DatasourceContext(
        "ds", "field", "default", "key", {}, intake, clock, None, shares=SharedResources(HttpMounts())
    )


def clock() -> Clock:
    started = Clock()
    started.advance(START)
    return started


class FakeSocket:
    """What a datagram source sends by."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, tuple[Any, ...]]] = []
        self.address = ("127.0.0.1", 1)

    def send(self, data: bytes, address: tuple[Any, ...]) -> None:
        self.sent.append((data, address))

    def stop(self) -> None:
        pass


class FakeDevice:
    """A device on a listener, as the listener sees it."""

    def __init__(self, listener: Any, host: str = "192.0.2.7", port: int = 40000) -> None:
        self.transport = StringTransport(peerAddress=IPv4Address("TCP", host, port))
        self.protocol = listener.buildProtocol(None)
        self.protocol.makeConnection(self.transport)

    def send(self, data: bytes, size: int = 0) -> None:
        for start in range(0, len(data), size or max(1, len(data))):
            self.protocol.dataReceived(data[start : start + (size or len(data))])

    def read(self) -> bytes:
        data = self.transport.value()
        self.transport.clear()
        return data

    @property
    def is_closed(self) -> bool:
        return self.transport.disconnecting or self.transport.disconnected

    @property
    def is_paused(self) -> bool:
        return self.transport.producerState == "paused"

    def half_close(self) -> None:
        self.protocol.readConnectionLost()

    def hang_up(self) -> None:
        self.protocol.connectionLost(Failure(ConnectionDone()))

    def vanish(self) -> None:
        self.protocol.connectionLost(Failure(ConnectionLost()))


class UdpField:
    """A UDP datasource of a type, without a socket."""

    def __init__(self, type_: Any, **settings: Any) -> None:
        self.intake = FakeIntake()
        self.clock = clock()
        converted = msgspec.convert(settings, type_.settings)
        self.source = type_(self.clock).build(converted, context(self.intake, self.clock))
        self.socket = FakeSocket()
        self.source._socket = self.socket

    def send(self, data: bytes, address: tuple[Any, ...] = ("192.0.2.7", 4000)) -> None:
        self.source._datagram(data, address)

    @property
    def payloads(self) -> list[bytes]:
        return [payload for payload, _ in self.intake.received]
