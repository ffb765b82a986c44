"""Fuzzing the vendors' and plain TCP and UDP datasources: real frames, mutated, cut anywhere, mixed, cut off.

They run on a test's clock with a gateway that is full now and then. Nothing may raise; what waits in a session
stays under its limit; when all devices have left and time has passed, nothing is held, no timer runs, and each
message that a session submitted has been handed over.
"""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

from twisted.internet.task import Clock

from iotgw.core.model import Answer, Status
from iotgw.datasources.socket.handlers import BinaryHandler, HexHandler, JsonHandler, TextHandler
from iotgw.datasources.socket.tcp import TcpSettings, TcpType
from iotgw.datasources.socket.udp import UdpSettings, UdpType
from iotgw.datasources.vendors.dragino import (
    DraginoSettings,
    DraginoType,
    DraginoUdpSettings,
    DraginoUdpType,
)
from iotgw.datasources.vendors.lobaro import LobaroUdpSettings, LobaroUdpType
from iotgw.datasources.vendors.tekelek import TekelekSettings, TekelekType
from iotgw.testing import FakeIntake, FakeTcpDevice, clock, datasource_context

LIBRARY = Path(__file__).parents[2] / "iotgw" / "converters" / "library"
LIMIT = 70_000
"""The largest handler's limit, and what one read brings."""


def seeds(vendor: str) -> list[bytes]:
    """Every payload of a vendor in the library, also as hexadecimal text."""
    found = {
        bytes.fromhex(vector["payload"])
        for path in sorted(LIBRARY.glob(f"{vendor}/*/vectors.json"))
        for vector in json.loads(path.read_text())
    }
    return sorted(found | {frame.hex().encode() for frame in found if vendor == "dragino"})


PLAIN = {
    "TEXT": [b"line\r\n", b"another\n"],
    "BINARY": [b"\x00\x05hello", b"\x00\x00"],
    "JSON": [b'{"a":[1,"}"]}\n', b"[]"],
    "HEX": [b"cafe 01\n", b"0x00\n"],
}


class Gateway(FakeIntake):
    """Answers now, later, or that the journal couldn't take it after all; notes who was given a downlink."""

    def __init__(self, random: Random, clock: Clock) -> None:
        super().__init__(auto=False, clock=clock)
        self.given: set[str] = set()
        self.told: set[str] = set()
        self._random = random

    def receive(self, payload, metadata, answer, received_ms=0, listens=True, key=""):
        if not self.room or self._random.random() < 0.03:
            answer(Answer(Status.BUSY, retry_after=1.0))
            return
        self.received.append((payload, metadata))

        def stored():
            items = self.take(metadata.get("identity", ""), 1)
            answer(Answer(Status.STORED, "1", 0.0, items))

        if self._random.random() < 0.7:
            stored()
        elif self._random.random() < 0.1:
            self._clock.callLater(1, answer, Answer(Status.BUSY, retry_after=1.0))
        else:
            self._clock.callLater(self._random.random(), stored)

    def take(self, device, limit):
        items = super().take(device, limit)
        self.given.update(item.id for item in items)
        return items

    def downlink_sent(self, downlink):
        self.told.add(downlink.id)

    def downlink_delivered(self, downlink):
        assert downlink.id in self.told, "delivered, but never sent"

    def downlink_lost(self, downlink, reason):
        self.told.add(downlink.id)


class _Socket:
    def send(self, data: bytes, address: object) -> None:
        assert isinstance(data, bytes)

    def stop(self) -> None:
        pass


class Fuzz:
    """One run: the same seed does the same."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.clock = clock()
        self.intake = Gateway(self.random, self.clock)
        vendors = {name: seeds(name) for name in ("tekelek", "dragino", "lobaro")}
        vendors["tekelek"].append(b"RDY,0\r\n")
        self._seeds = [seed for found in (*vendors.values(), *PLAIN.values()) for seed in found]
        here = datasource_context(self.intake, self.clock)

        def make(type_, settings):
            return type_(self.clock).build(settings, here)

        handlers = (TextHandler(), BinaryHandler(), JsonHandler(), HexHandler())
        self._listeners = [
            make(TekelekType, TekelekSettings()),
            make(DraginoType, DraginoSettings()),
            make(TekelekType, TekelekSettings(proxy_protocol=True)),
            *(make(TcpType, TcpSettings(handler=handler, identity="address")) for handler in handlers),
        ]
        self._ports = [
            make(DraginoUdpType, DraginoUdpSettings()),
            make(LobaroUdpType, LobaroUdpSettings(reply="cbor")),
            *(make(UdpType, UdpSettings(handler=handler, identity="address")) for handler in handlers),
        ]
        for port in self._ports:
            port._socket = _Socket()  # type: ignore[assignment]
        plain = list(PLAIN.values())
        tekelek, dragino, lobaro = vendors.values()
        kinds = [*zip(self._listeners, (tekelek, dragino, tekelek, *plain), strict=True)]
        kinds += [*zip(self._ports, (dragino, lobaro, *plain), strict=True)]  # type: ignore[arg-type]
        self._own_seeds = {id(source): found for source, found in kinds}
        self._devices: list[tuple[FakeTcpDevice, list[bytes]]] = []
        self.frames = 0

    def run(self, steps: int) -> None:
        """Do this many things."""
        random = self.random
        for _ in range(steps):
            self.frames += 1
            kind = random.random()
            if kind < 0.15:
                host = f"192.0.2.{random.randrange(9)}"
                listener = random.choice(self._listeners)
                self._devices.append((FakeTcpDevice(listener, host), self._own_seeds[id(listener)]))
            elif kind < 0.6 and self._devices:
                self._speak(*random.choice(self._devices))
            elif kind < 0.8:
                port = random.choice(self._ports)
                data = self._data(self._own_seeds[id(port)])
                port._datagram(data, (f"192.0.2.{random.randrange(9)}", 4000))
            elif kind < 0.9 and self._devices:
                self._leave(self._devices.pop(random.randrange(len(self._devices)))[0])
            elif kind < 0.93:
                self.intake.drain() if random.random() < 0.7 else self.intake.fill()
            elif kind < 0.96:
                self.intake.put(
                    self._identity(), random.choice((b"R1=02", b"\x01\x00\x03\x84", b'{"q":"x"}', b"\xff"))
                )
            else:
                self.clock.advance(random.random() * (100 if random.random() < 0.02 else 1.5))
            if len(self.intake.received) > 1000:
                self._forget()

    def _speak(self, device: FakeTcpDevice, own: list[bytes]) -> None:
        data = self._data(own)
        if device.protocol.session is None and self.random.random() < 0.8:
            data = b"PROXY TCP4 203.0.113.9 198.51.100.1 5555 1\r\n" + data
        device.send(data, self.random.choice((0, 0, 1, 7, 100)))
        session = device.protocol.session
        assert session is None or session.pending <= LIMIT
        device.read()
        if device.is_closed:
            self._devices.remove((device, own))
            self._leave(device)

    def _leave(self, device: FakeTcpDevice) -> None:
        kind = self.random.randrange(3)
        if kind == 0:
            device.half_close()
        device.hang_up() if kind < 2 else device.vanish()

    def _data(self, own: list[bytes]) -> bytes:
        random = self.random
        found = own if random.random() < 0.9 else self._seeds
        data = b"".join(random.choice(found) for _ in range(random.choice((1, 1, 1, 2, 3))))
        if random.random() < 0.3:
            changed = bytearray(data)
            for _ in range(random.randrange(1, 5)):
                at = random.randrange(len(changed) + 1)
                if random.random() < 0.5:
                    changed[at : at + random.randrange(9)] = random.randbytes(random.randrange(9))
                else:
                    del changed[at:]
            data = bytes(changed)
        return data or random.randbytes(random.randrange(1, 40))

    def _identity(self) -> str:
        known = [facts["identity"] for _, facts in self.intake.received[-50:] if facts.get("identity")]
        return self.random.choice(known) if known else "192.0.2.1"

    def _forget(self) -> None:
        """What was received must be what the journal can write; then it is of no interest."""
        for _, facts in self.intake.received:
            json.dumps(facts, allow_nan=False)
        self.intake.forget()

    def end(self) -> None:
        """Everybody leaves; nothing may be left."""
        self.intake.drain()
        for device, _ in self._devices:
            self._leave(device)
        self._devices.clear()
        self.clock.pump([1.0] * 300)
        self._forget()
        assert self.intake.sessions == {}
        for port in self._ports:
            port.stop()
        assert self.intake.given == self.intake.told, "somebody was given a downlink and said nothing of it"
        assert self.clock.getDelayedCalls() == []
        assert not any(listener.status().get("connections") for listener in self._listeners)
