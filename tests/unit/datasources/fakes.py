"""`iotgw.testing` under the names of this folder's tests, and UDP datasources without sockets."""

from __future__ import annotations

from typing import Any

import msgspec
from twisted.internet.task import Clock

from iotgw.core.ports.datasources import DatasourceContext
from iotgw.core.shared import SharedResources
from iotgw.datasources.http.mounts import HttpMounts
from iotgw.testing import START, FakeIntake, clock, datasource_context
from iotgw.testing import FakeTcpDevice as FakeDevice

__all__ = ["START", "FakeDevice", "FakeIntake", "FakeSocket", "UdpField", "clock", "context"]


def context(intake: FakeIntake, clock: Clock, shares: SharedResources | None = None) -> DatasourceContext:
    return datasource_context(intake, clock, shares=shares or SharedResources(HttpMounts()))


class FakeSocket:
    """What a datagram source sends by."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, tuple[Any, ...]]] = []
        self.address = ("127.0.0.1", 1)

    def send(self, data: bytes, address: tuple[Any, ...]) -> None:
        self.sent.append((data, address))

    def stop(self) -> None:
        pass


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
