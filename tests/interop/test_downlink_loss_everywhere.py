"""15 % of the replies are lost, on every type of datasource: each item arrives in the end, and a device that
knows what it has takes it once. What the transport can't confirm is confirmed by the device (`downlinkAck`)."""

import contextlib
import json
import random
import select
import socket
import struct
import subprocess
import threading

import cbor2
import pytest

from iotgw.simulate.runner import KINDS
from tests.dtls_peer import Client
from tests.interop.downlink_field import JSON_HANDLER
from tests.interop.test_downlink_losses import LOSS, Device, Lossy
from tests.peers.patience import HANGS, Patience
from tests.peers.process import find, free_port, free_udp_port, wait_until

pytestmark = pytest.mark.interop

COUNT = 12
RECEIPTS = """
function Decoder(payload, metadata) {
  var name = metadata.identity, ack;
  if (metadata.input) { ack = metadata.input.d.ack; }
  else if (metadata.deviceModel !== undefined || payload[0] !== 123) { ack = payload[10] << 8 | payload[11]; }
  else { var data = decodeToJson(payload); name = data.deviceName; ack = data.ack; }
  return {deviceName: name, telemetry: {t: 1}, downlinkAck: ack ? [{msgType: 'item ' + ack}] : null};
}
"""


class Cutting:
    """A TCP relay that, instead of passing on what it gets from the server, sometimes breaks the connection. ``lost`` is what it took then:
    its machine has acknowledged that, and where the relay is slow to break the connection, the server may have seen it."""

    def __init__(self, port, seed):
        self._target, self._dice, self.dropped = ("127.0.0.1", port), random.Random(seed), 0
        self.lost = b""
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                front, _ = self._server.accept()
                threading.Thread(target=self._pipe, args=(front,), daemon=True).start()

    def _pipe(self, front):
        with front, socket.create_connection(self._target) as back, contextlib.suppress(OSError):
            open_ends = {front: back, back: front}
            while open_ends:
                for line in select.select(list(open_ends), [], [])[0]:
                    data = line.recv(65536)
                    if not data:
                        open_ends.pop(line).shutdown(socket.SHUT_WR)
                    elif line is back and self._dice.random() < LOSS:
                        self.dropped += 1
                        self.lost += data
                        for end in (front, back):
                            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        return
                    else:
                        open_ends[line].sendall(data)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._server.close()


class Field:
    """A gateway with one datasource, the items of one device, and what that got."""

    confirmed = False

    def __init__(self, gateway, type_, converter="json", key="key", **configuration):
        self.gateway, self.got, self.number = gateway, [], 0
        gateway.create("converters", name="receipts", script=RECEIPTS)
        gateway.create("datasources", name="source", type=type_, routingKey=key, converter=converter,
                       downlinkWindow=0.001, configuration=configuration)  # fmt: skip

    def queue(self, device, count=COUNT, confirmed=False):
        self.path, self.texts = (
            f"/devices/{device}/downlinks",
            [f"S0={number:02}" for number in range(1, count + 1)],
        )
        items = [{"msgType": f"item {number}", "data": text, "contentType": "TEXT", "confirmed": confirmed,
                  "maxAttempts": 50} for number, text in enumerate(self.texts, 1)]  # fmt: skip
        assert self.gateway.api("PUT", f"{self.path}?allowUnknown=true", items).status == 200

    def hear(self, data):
        """Take what is new in it."""
        self.got += [text for text in self.texts if text.encode() in data and text not in self.got]

    @property
    def ack(self):
        """The number of the latest item."""
        return int(self.got[-1][3:]) if self.got else 0

    def states(self):
        return {item["state"] for item in self.gateway.api("GET", self.path).json["items"]}

    def runs(self, uplink, state, may_miss=lambda text: False):
        """Uplinks until every item is in this state; each arrived, but what ``may_miss(text)`` excuses. How many that takes is a matter of
        how often, and how long, the gateway is without its connection."""

        def all_are_there():
            self.number += 1
            uplink(self.number)
            return self.states() == {state} and all(text in self.got or may_miss(text) for text in self.texts)

        wait_until(all_are_there, HANGS, f"{state} of all items")
        assert len(self.got) == len(set(self.got)) and self.got


def json_uplink(field, number):
    return json.dumps({"deviceName": "d", "t": number, "ack": field.ack}).encode()


def lobaro_uplink(field, number, identity):
    return cbor2.dumps({"i": identity, "n": number, "d": {"ack": field.ack}})


def test_http(gateway):
    field = Field(gateway, "http", "receipts")
    field.queue("d", confirmed=True)
    with Cutting(gateway.port, seed=1) as relay:

        def uplink(number):
            url = f"http://127.0.0.1:{relay.port}/i/key"
            ran = subprocess.run([find("curl"), "-sS", "-d", json_uplink(field, number), url],
                                 capture_output=True, check=False, timeout=HANGS)  # fmt: skip
            field.hear(ran.stdout)

        field.runs(uplink, "SUCCESSFUL")
        assert relay.dropped


@pytest.mark.parametrize(
    ("type_", "converter", "state"),
    [("tcp", "receipts", "SUCCESSFUL"), ("tekelek", "tekelek/logger", "DELIVERED"),
     ("dragino", "dragino/ndds75", "DELIVERED")],
)  # fmt: skip
def test_streams(gateway, type_, converter, state):
    port = free_port()
    more = {"tcp": JSON_HANDLER, "tekelek": {"linger": 0.02}, "dragino": {"pause": 0.05}}[type_]
    field = Field(gateway, type_, converter, "", port=port, **more)
    node = None if type_ == "tcp" else KINDS[type_].make(random.Random(1))
    field.queue(
        node.identity if node else "d", COUNT if type_ != "tekelek" else 4 * COUNT, confirmed=not node
    )
    with Cutting(port, seed=4) as relay:

        def uplink(number):
            with (
                contextlib.suppress(ConnectionError),
                socket.create_connection(("127.0.0.1", relay.port), timeout=HANGS) as line,
            ):
                line.sendall(
                    node.uplink(1_700_000_000_000 + number * 900_000) if node else json_uplink(field, number)
                )
                if type_ != "tekelek":
                    line.shutdown(socket.SHUT_WR)
                while data := line.recv(4096):
                    field.hear(data)

        # where a device says nothing of its own, what the next machine has acknowledged is delivered
        field.runs(uplink, state, lambda text: node is not None and text.encode() in relay.lost)
        assert relay.dropped


@pytest.mark.parametrize("type_", ["udp", "dragino-udp", "lobaro-udp"])
def test_datagrams(gateway, type_):
    port = free_udp_port()
    more = {"udp": JSON_HANDLER, "dragino-udp": {}, "lobaro-udp": {"reply": "cbor"}}[type_]
    field = Field(gateway, type_, "receipts", "", port=port, **more)
    node = None if type_ == "udp" else KINDS[type_].make(random.Random(1))
    field.queue(node.identity if node else "d", confirmed=True)

    def document(number):
        if type_ == "udp":
            return json_uplink(field, number)
        if type_ == "lobaro-udp":
            return lobaro_uplink(field, number, node.identity)
        frame = node.uplink(1_700_000_000_000 + number * 900_000)
        return frame[:10] + field.ack.to_bytes(2, "big") + frame[12:]

    with Lossy(port, LOSS, seed=6) as relay, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.connect(("127.0.0.1", relay.port))
        line.settimeout(0.15)

        def uplink(number):
            line.send(document(number))
            with contextlib.suppress(TimeoutError):
                field.hear(line.recv(4096))

        field.runs(uplink, "SUCCESSFUL")
        assert relay.dropped


@pytest.mark.parametrize("type_", ["mqtt", "dragino-mqtt"])
def test_a_broker_whose_connection_breaks(gateway, mosquitto, type_):
    node = KINDS["dragino"].make(random.Random(3)) if type_ == "dragino-mqtt" else None
    converter, more = ("dragino/ndds75", {}) if node else ("json", {"identityLevel": 1})
    with Cutting(mosquitto.port, seed=2) as relay, mosquitto.subscribe("+/down") as listener:
        field = Field(gateway, type_, converter, host="127.0.0.1", port=relay.port, topics=["+/up"],
                      downlinkTopic="{identity}/down", **more)  # fmt: skip
        field.queue(node.identity if node else "d", 5)

        def uplink(number):
            said = (
                node.uplink(1_700_000_000_000 + number * 900_000).hex()
                if node
                else json_uplink(field, number)
            )
            subprocess.run([find("mosquitto_pub"), "-p", str(mosquitto.port), "-q", "1", "-t", "d/up", "-m",
                            said], check=True, timeout=HANGS)  # fmt: skip
            time_to_arrive = threading.Event()
            time_to_arrive.wait(0.15)
            for _, payload in list(listener.messages):
                field.hear(bytes.fromhex(payload) if node else payload.encode())

        field.runs(uplink, "DELIVERED")
        assert relay.dropped


COAP = {"ackTimeout": 0.2, "ackRandomFactor": 1.0, "maxRetransmit": 8}


class Vendor(Device):
    """A CoAP device with another path and other messages."""

    def __init__(self, line, path, document):
        super().__init__(line)
        self.path, self.document = path, document


@pytest.mark.parametrize("type_", ["dragino-coap", "lobaro-coap"])
def test_vendors_over_coap(gateway, type_):
    port = free_udp_port()
    more = {"encoding": "raw"} if type_ == "dragino-coap" else COAP
    converter = "dragino/ndds75" if type_ == "dragino-coap" else ""
    field = Field(gateway, type_, converter, "", port=port, interface="127.0.0.1", **more)
    node = KINDS["dragino"].make(random.Random(1))
    field.queue(node.identity)
    with Lossy(port, LOSS, seed=8) as relay:

        def document(number):
            if type_ == "lobaro-coap":
                return lobaro_uplink(field, number, node.identity)
            return node.uplink(1_700_000_000_000 + number * 900_000).hex().encode()

        device = Vendor(relay.port, "/up" if type_ == "lobaro-coap" else "", document)
        seen_once(field, device)
        assert relay.dropped


def seen_once(field, device):
    """Every item arrives, and none was given to the device under two Message IDs."""

    def uplink(number):
        device.uplink()
        device.listen()
        field.got = list(device.got)

    field.runs(uplink, "DELIVERED")


class Secured:
    """A DTLS session as a socket."""

    def __init__(self, port):
        self._line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._line.connect(("127.0.0.1", port))
        self._client = Client(psk=(b"dev", b"open sesame"))
        self._send(self._client.begin())
        patience = Patience(20)
        while not self._client.done and not patience.is_over():
            if select.select([self._line], [], [], 0.2)[0]:
                self._send(self._client.feed(self._line.recv(4096)))
        assert self._client.done, self._client.error

    def _send(self, datagrams):
        for datagram in datagrams:
            self._line.send(datagram)

    def fileno(self):
        return self._line.fileno()

    def send(self, data):
        self._send(self._client.send(data))

    def recv(self, size):
        self._send(self._client.feed(self._line.recv(size)))
        return self._client.received.pop(0) if self._client.received else b"\x60\x00\x00\x00"


def test_coaps(gateway):
    port = free_udp_port()
    gateway.create("credentials", name="dev", identity="dev", secrets=[{"value": "open sesame"}])
    field = Field(gateway, "coap", securityMode="DTLS", securePort=port, interface="127.0.0.1", **COAP)
    field.queue("d")
    with Lossy(port, 0.0, seed=3) as relay:
        device = Device(relay.port, Secured(relay.port))
        relay.loss = LOSS
        seen_once(field, device)
        assert relay.dropped
