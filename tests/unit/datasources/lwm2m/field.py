"""A device of LwM2M that a test plays over a loopback socket, and its datasource."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.protocol import DatagramProtocol

from iotgw.core.model import Downlink
from iotgw.core.ports.datasources import DatasourceContext
from iotgw.core.shared import SharedResources
from iotgw.core.validate import convert
from iotgw.datasources.coap.ports import CoapPorts
from iotgw.datasources.lwm2m.bootstrap import BootstrapType
from iotgw.datasources.lwm2m.source_type import Lwm2mType
from iotgw.dtls.client import PskClient
from iotgw.testing import FakeIntake, MemoryCredentials, MemoryKept
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import Message, decode, encode, options, uri_options

PATIENCE = 30.0
"""Seconds after which nothing comes any more."""
LINKS = b'</>;rt="oma.lwm2m";ct="60 110 112 11542 11543",</1/0>,</3>;ver=1.1,</3/0>,</3303/0>'


class Wire(DatagramProtocol):
    """A socket whose messages are awaited one at a time."""

    def __init__(self) -> None:
        self.inbox: list[Message] = []
        self.waiting: Deferred[None] | None = None
        self.is_there = True
        """Whether pings are answered."""

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        message = decode(datagram)
        if self.is_there and (message.type, message.code) == (n.CON, n.EMPTY):
            self.transport.write(encode(n.RST, n.EMPTY, message.mid), addr)  # a ping
            return
        self.inbox.append(message)
        if self.waiting is not None:
            waiting, self.waiting = self.waiting, None
            waiting.callback(None)

    async def next(self) -> Message:
        while not self.inbox:
            self.waiting = Deferred()
            await self.waiting.addTimeout(
                PATIENCE, reactor
            )  # a test that fails says so, and no other one suffers
        return self.inbox.pop(0)


class Device:
    """Sends requests and notifications; answers what it is told to."""

    def __init__(self, address: tuple[str, int], host: str = "127.0.0.1") -> None:
        self.address = address
        self.wire = Wire()
        self.port = reactor.listenUDP(0, self.wire, interface=host)
        self.mid = 100
        self.location = ""

    def send(self, data: bytes) -> None:
        self.wire.transport.write(data, self.address)

    def begin(self, code: int, path: str, payload: bytes = b"", *pairs: Any) -> int:
        """Send a request, and don't wait."""
        self.mid += 1
        self.send(encode(n.CON, code, self.mid, b"rq", options(*uri_options(path), *pairs), payload))
        return self.mid

    async def ask(self, code: int, path: str, payload: bytes = b"", *pairs: Any) -> Message:
        """Send a request and wait for its response."""
        mid = self.begin(code, path, payload, *pairs)
        others: list[Message] = []
        while True:
            message = await self.wire.next()
            if message.type == n.ACK and message.mid == mid and message.code:
                self.wire.inbox[:0] = others
                return message
            others.append(message)

    async def register(
        self, query: str = "ep=dev&lt=60&lwm2m=1.1&b=U", links: bytes = LINKS, path: str = "rd"
    ) -> Message:
        """Register; `location` is where."""
        response = await self.ask(n.POST, f"{path}?{query}", links, (n.CONTENT_FORMAT, 40))
        self.location = "/".join(value.decode() for value in response.options.get_all(n.LOCATION_PATH))
        return response

    async def update(self, query: str = "", links: bytes = b"") -> Message:
        """Update the registration."""
        pairs = ((n.CONTENT_FORMAT, 40),) if links else ()
        return await self.ask(n.POST, self.location + (f"?{query}" if query else ""), links, *pairs)

    async def asked(self) -> Message:
        """The next request of the gateway."""
        return await self.wire.next()

    def answer(self, request: Message, code: int = n.CONTENT, payload: bytes = b"", *pairs: Any) -> None:
        """Answer a request, piggybacked."""
        self.send(encode(n.ACK, code, request.mid, request.token, options(*pairs), payload))

    def values(self, request: Message, pack: Any, observe: int | None = None, code: int = n.CONTENT) -> None:
        """Answer with values in SenML JSON."""
        numbered = () if observe is None else ((n.OBSERVE, observe),)
        self.answer(request, code, json.dumps(pack).encode(), (n.CONTENT_FORMAT, 110), *numbered)

    def notify(self, request: Message, number: int, pack: Any, type_: int = n.CON) -> int:
        """Notify the observation that a request began."""
        self.mid += 1
        pairs = options((n.OBSERVE, number), (n.CONTENT_FORMAT, 110))
        self.send(encode(type_, n.CONTENT, self.mid, request.token, pairs, json.dumps(pack).encode()))
        return self.mid

    async def acknowledged(self, mid: int) -> None:
        """Wait for the empty acknowledgement of a message."""
        message = await self.wire.next()
        assert (message.type, message.code, message.mid) == (n.ACK, n.EMPTY, mid)


class SecureDevice(Device):
    """One that speaks over DTLS, with a pre-shared key; `begun` fires when it may send."""

    def __init__(self, address: tuple[str, int], identity: bytes, key: bytes) -> None:
        self.session = PskClient(identity, key)
        self.begun: Deferred[None] = Deferred()
        super().__init__(address)
        self.wire.datagramReceived = self._received
        self._flush()

    def send(self, data: bytes) -> None:
        self.session.write(data)
        self._flush()

    def _received(self, datagram: bytes, addr: Any) -> None:
        for plaintext in self.session.feed(datagram):
            Wire.datagramReceived(self.wire, plaintext, addr)
        self._flush()
        if self.session.done and not self.begun.called:
            self.begun.callback(None)

    def _flush(self) -> None:
        while datagram := self.session.outgoing():
            self.wire.transport.write(datagram, self.address)


class Field:
    """Datasources that share what a gateway keeps, and devices; closed by the fixture."""

    def __init__(self) -> None:
        self.shares = SharedResources(CoapPorts(reactor))
        self.kept = MemoryKept()
        self.open: list[Any] = []
        self.devices: list[Device] = []
        self.intake = FakeIntake()
        self.credentials = MemoryCredentials()

    async def start(self, **configuration: Any) -> Any:
        """A datasource with these settings, on what earlier ones kept."""
        return await self._start(Lwm2mType(reactor), configuration)

    async def start_bootstrap(self, **configuration: Any) -> Any:
        """A bootstrap server with these settings."""
        return await self._start(BootstrapType(reactor), configuration)

    async def _start(self, type_: Any, configuration: dict[str, Any]) -> Any:
        settings = convert({"port": 0, "interface": "127.0.0.1", **configuration}, type_.settings)
        context = DatasourceContext(
            "ds",
            "fleet",
            "default",
            "",
            {},
            self.intake,
            reactor,
            self.credentials,
            shares=self.shares,
            kept=self.kept,
        )
        self.source = type_.build(settings, context)
        await self.source.start()
        self.open.append(self.source)
        return self.source

    def device(self, source: Any = None, at: str = "127.0.0.1") -> Device:
        """A device at an address of loopback that talks to a datasource, the latest one if none is given."""
        host, port = (source or self.source)._shares[0].port.address[:2]
        device = Device((host, port), at)
        self.devices.append(device)
        return device

    async def secure_device(self, identity: str, key: bytes) -> SecureDevice:
        """A device with a session of its own."""
        device = SecureDevice(self.source._shares[-1].port.address[:2], identity.encode(), key)
        self.devices.append(device)
        await device.begun.addTimeout(PATIENCE, reactor)
        return device

    async def close(self) -> None:
        """End it all."""
        for source in self.open:
            await source.stop()
        for device in self.devices:
            await maybeDeferred(device.port.stopListening)

    # --- what came

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """The messages handed in."""
        return [json.loads(payload) for payload, _ in self.intake.received]

    def kinds(self) -> list[str]:
        """Their kinds."""
        return [body["kind"] for body in self.bodies]

    def queue(self, msg_type: str, msg: Any, device: str = "dev", id: str = "1") -> Downlink:
        """Have an item wait for a device."""
        item = Downlink(id, device, json.dumps(msg).encode(), "JSON", msg_type=msg_type)
        self.intake.queue.setdefault(device, []).append(item)
        return item

    def push(self, msg_type: str, msg: Any, id: str = "1", endpoint: str = "dev") -> None:
        """Push an item, as the queue does."""
        item = Downlink(id, endpoint, json.dumps(msg).encode(), "JSON", msg_type=msg_type)
        self.source.push({"endpoint": endpoint}, (item,))


def observing(*paths: str, **more: Any) -> dict[str, Any]:
    """Settings of a profile that observes these paths."""
    return {"profiles": [{"observeAttr": {"observe": list(paths), **more}}]}
