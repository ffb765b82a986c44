"""The life of items on every type of datasource: what is cancelled, expired, replaced or can't be converted
does not leave; the rest leaves in its order. Each device is a real client, or speaks its bytes over a socket."""

import json
import random
import socket
import subprocess

import cbor2
import pytest

from iotgw.simulate.runner import KINDS
from tests.interop.downlink_field import JSON_HANDLER, Field
from tests.peers.coap import coap_client
from tests.peers.patience import HANGS
from tests.peers.process import find, free_port, free_udp_port, wait_until

COMMAND = """
function Encoder(msg, metadata, msgType, integrationMetadata) {
  if (!msg.command) { throw new Error('no command'); }
  return {contentType: 'TEXT', data: msg.command, metadata: {}};
}
"""
SEED = 20
"""Of the simulated devices here: others than elsewhere in this gateway."""


class Device:
    """One device and its datasource. ``uplink(n)`` sends the n-th message and returns what came back, waiting
    for it where ``expects`` says that something comes."""

    type_ = "http"
    converter = "json"
    takes_all = False
    confirms = True
    """Whether a transport's word makes an item DELIVERED."""

    def __init__(self, field: Field, name: str) -> None:
        self.field, self.name = field, name
        self.port = 0
        self.make()

    def make(self):
        self.open(key=self.name)

    def open(self, key="", **configuration):
        self.field.gateway.create(
            "datasources", name=self.name, type=self.type_, routingKey=key, converter=self.converter,
            downlinkConverter="command", downlinkWindow=0.001, configuration=configuration,
        )  # fmt: skip

    @property
    def device(self):
        return f"device of {self.name}"

    def document(self, n):
        return json.dumps({"deviceName": self.device, "t": n})

    def close(self):
        pass


class Http(Device):
    def uplink(self, n, expects):
        url = f"http://127.0.0.1:{self.field.gateway.port}/i/{self.name}"
        return subprocess.run([find("curl"), "-sS", "-d", self.document(n), url], capture_output=True,
                              check=True, timeout=HANGS).stdout  # fmt: skip


class Coap(Device):
    type_, path, options = "coap", "/i/{name}", ()

    def make(self):
        self.port = free_udp_port()
        self.open(key=self.name, port=self.port, interface="127.0.0.1")

    def uplink(self, n, expects):
        url = f"{'coaps' if '-k' in self.options else 'coap'}://127.0.0.1:{self.port}{self.path.format(name=self.name)}"
        body = self.document(n)
        return coap_client(
            url, body if isinstance(body, bytes) else body.encode(), options=self.options
        ).encode()


class Coaps(Coap):
    options = ("-u", "life", "-k", "open sesame")

    def make(self):
        self.port = free_udp_port()
        self.field.gateway.create(
            "credentials", name="life", identity="life", secrets=[{"value": "open sesame"}]
        )
        self.open(key=self.name, securityMode="DTLS", securePort=self.port, interface="127.0.0.1")


class LobaroCoap(Coap):
    type_, path, converter, device = "lobaro-coap", "/up", "", "352665091230001"

    def make(self):
        self.port = free_udp_port()
        self.open(port=self.port, interface="127.0.0.1")

    def document(self, n):
        return cbor2.dumps({"i": self.device, "n": n, "d": {"vbat": 3600}})


class Simulated:
    """A device of the simulator's."""

    kind = ""

    @property
    def device(self):
        return self.node.identity

    def document(self, n):
        return self.node.uplink(1_700_000_000_000 + n * 900_000)


class DraginoCoap(Simulated, Coap):
    type_, path, converter = "dragino-coap", "/", "dragino/ndds75"

    def make(self):
        self.node = KINDS["dragino"].make(random.Random(SEED + 1))
        self.port = free_udp_port()
        self.options = ("-p", str(free_udp_port()))
        self.open(port=self.port, interface="127.0.0.1", encoding="raw")

    def document(self, n):
        return super().document(n).hex().encode()


class Mqtt(Device):
    type_, topics, more = "mqtt", "life", {"identityLevel": 2}

    def make(self):
        broker = self.field.broker
        self.open(host="127.0.0.1", port=broker.port, topics=[f"{self.topics}/+/up"],
                  downlinkTopic=f"{self.topics}/{{identity}}/down", **self.more)  # fmt: skip
        self.listener = broker.subscribe(f"{self.topics}/+/down")
        status = self.field.gateway.api
        wait_until(lambda: status("GET", f"/datasources/{self.name}").json["status"]["state"] == "connected")

    def uplink(self, n, expects):
        before = len(self.listener.messages)
        subprocess.run([find("mosquitto_pub"), "-p", str(self.field.broker.port), "-q", "1", "-t",
                        f"{self.topics}/x/up", "-m", self.document(n)], check=True, timeout=HANGS)  # fmt: skip
        if expects:
            wait_until(lambda: len(self.listener.messages) > before, what="a downlink")
        return "".join(payload for _, payload in self.listener.messages[before:]).encode()

    def close(self):
        self.listener.close()


class DraginoMqtt(Simulated, Mqtt):
    type_, topics, more, converter = "dragino-mqtt", "nodes", {}, "dragino/ndds75"

    def make(self):
        self.node = KINDS["dragino"].make(random.Random(SEED + 2))
        super().make()

    def document(self, n):
        return super().document(n).hex()

    def uplink(self, n, expects):
        return bytes.fromhex(super().uplink(n, expects).decode())


class Stream(Simulated, Device):
    """Over TCP: it says everything, then hears until the gateway closes."""

    more = {}

    def make(self):
        self.type_ = self.name
        self.node = KINDS[self.name].make(random.Random(f"{SEED} {self.name}"))
        self.port = free_port()
        self.open(port=self.port, **self.more)

    def uplink(self, n, expects):
        with socket.create_connection(("127.0.0.1", self.port), timeout=HANGS) as line:
            line.sendall(self.document(n))
            line.shutdown(socket.SHUT_WR)
            heard = b""
            while data := line.recv(4096):
                heard += data
        return heard


class Tcp(Stream):
    more, confirms = JSON_HANDLER, False


class Tekelek(Stream):
    converter, takes_all, more = "tekelek/logger", True, {"linger": 0.05}


class Dragino(Stream):
    converter = "dragino/ndds75"


class Udp(Simulated, Device):
    more, confirms = JSON_HANDLER, False

    def make(self):
        self.type_ = self.name
        self.node = KINDS[self.name].make(random.Random(f"{SEED} {self.name}"))
        self.port = free_udp_port()
        self.open(port=self.port, **self.more)

    def uplink(self, n, expects):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.settimeout(HANGS)
            line.connect(("127.0.0.1", self.port))
            line.send(self.document(n))
            return line.recv(4096) if expects else b""


class DraginoUdp(Udp):
    converter, more = "dragino/ndds75", {}


class LobaroUdp(Udp):
    converter, more = "", {"reply": "cbor"}


DEVICES = {
    "http": Http, "coap": Coap, "coaps": Coaps, "mqtt": Mqtt, "tcp": Tcp, "udp": Udp, "tekelek": Tekelek,
    "dragino": Dragino, "dragino-udp": DraginoUdp, "dragino-coap": DraginoCoap, "lobaro-udp": LobaroUdp,
    "lobaro-coap": LobaroCoap, "dragino-mqtt": DraginoMqtt,
}  # fmt: skip


@pytest.fixture(scope="module")
def command(field):
    field.gateway.create("converters", name="command", type="DOWNLINK", script=COMMAND)


@pytest.mark.parametrize("name", DEVICES)
def test_life(field, command, name, request):
    device = DEVICES[name](field, name)
    request.addfinalizer(device.close)
    made = {}

    def item(command, **more):
        return {"msgType": "command", "msg": {"command": command} if command else {}, **more}

    def push(command, **more):
        made[command] = field.push(device.device, **item(command, **more))

    def uplink(n, *expected):
        heard = device.uplink(n, bool(expected))
        wait_until(lambda: len(field.gateway.messages(datasource=name)) == n, what="the uplink to be stored")
        places = [heard.find(command.encode()) for command in expected]
        assert -1 not in places and places == sorted(places), (expected, heard)
        others = made.keys() - {*expected, ""}
        assert not [command for command in others if command.encode() in heard], heard

    push("S0=00", ttl=0.001)
    push("S0=01", priority=10)
    push("", priority=8)  # its converter fails
    push("S0=02")
    push("S0=03", priority=9)
    path = f"/devices/{device.device.replace(' ', '%20')}/downlinks"
    assert field.gateway.api("DELETE", f"{path}/{made['S0=01']['id']}").status == 200
    if device.takes_all:
        uplink(1, "S0=03", "S0=02")
        uplink(2)
    else:
        uplink(1, "S0=03")
        uplink(2, "S0=02")
    uplink(3)
    failed = field.gateway.api("GET", f"{path}/{made['']['id']}").json
    assert (failed["state"], failed["attempts"]) == ("QUEUED", 0)
    assert "no command" in failed["reason"]
    push("S0=04")
    replacement = field.gateway.api("PUT", f"{path}?allowUnknown=true", [item("S0=05")]).json["items"]
    made["S0=05"] = replacement[0]
    uplink(4, "S0=05")
    push("S0=06")
    push("S0=07", policy="last")
    uplink(5, "S0=07")
    uplink(6)
    left = ["queued", "sent", "delivered"] if device.confirms and "udp" not in name else ["queued", "sent"]
    for number in ("S0=02", "S0=03", "S0=05", "S0=07"):
        field.lives(made[number], left)
    for number, end in (
        ("S0=00", "expired"),
        ("S0=01", "deleted"),
        ("S0=04", "deleted"),
        ("S0=06", "deleted"),
    ):
        field.lives(made[number], ["queued", end])
