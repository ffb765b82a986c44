"""The lwm2m datasource and a device of Eclipse Leshan: from its registration to its good-bye, plain and with a key."""

from __future__ import annotations

import json

import pytest
import pytest_twisted
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from iotgw.core.model import Downlink
from iotgw.core.ports.datasources import DatasourceContext
from iotgw.core.shared import SharedResources
from iotgw.core.validate import convert
from iotgw.datasources.coap.ports import CoapPorts
from iotgw.datasources.http.mounts import HttpMounts
from iotgw.datasources.lwm2m.settings import Lwm2mSettings
from iotgw.datasources.lwm2m.source_type import Lwm2mType
from iotgw.testing import FakeIntake, MemoryCredentials, MemoryKept
from tests.peers.leshan import LeshanDevice
from tests.peers.process import free_udp_port

from .delivering import until

pytestmark = pytest.mark.interop
KEY = "00112233445566778899aabbccddeeff"
TEMPERATURE = "/3303/0/5700"
PROFILE = {"observeAttr": {"observe": [TEMPERATURE], "keyName": {TEMPERATURE: "temperature"}}}


class Server:
    """A datasource, what it was told, and items for its devices."""

    def __init__(self, **settings):
        self.intake = FakeIntake()
        self.intake.proves = True
        credentials = MemoryCredentials()
        credentials.add_psk("id-7", bytes.fromhex(KEY), "meter-7")
        self.port = free_udp_port()
        self.secure_port = free_udp_port()
        self.mounts = HttpMounts()
        configuration = {
            "interface": "127.0.0.1", "port": self.port, "securePort": self.secure_port, "securityMode": "MIXED",
            "profiles": [PROFILE], **settings,
        }  # fmt: skip
        self.source = Lwm2mType(reactor).build(
            convert(configuration, Lwm2mSettings, "configuration"),
            DatasourceContext(
                "ds", "fleet", "default", "", {}, self.intake, reactor, credentials,
                shares=SharedResources(CoapPorts(reactor), self.mounts), kept=MemoryKept(),
            ),
        )  # fmt: skip
        self._items = 0

    def told(self, kind, endpoint):
        """What a device told, of a kind."""
        bodies = [json.loads(payload) for payload, _ in self.intake.received]
        return [body for body in bodies if (body["kind"], body["endpoint"]) == (kind, endpoint)]

    async def ask(self, endpoint, msg_type, msg):
        """Have a device do something: what became of the item, and its result."""
        self._items += 1
        id = str(self._items)
        item = Downlink(id, endpoint, json.dumps(msg).encode(), "JSON", msg_type=msg_type)
        self.source.push({"endpoint": endpoint}, (item,))
        ends = await until(
            lambda: [what for each, what in self.intake.outcomes if each == id and what != "sent"],
            what=f"an answer to {msg_type}",
        )
        return ends[0], self.intake.results.get(id, {})


@pytest.fixture(scope="module")
def server():
    made = Server()
    pytest_twisted.blockon(made.source.start())
    yield made
    pytest_twisted.blockon(made.source.stop())


async def here(server, endpoint):
    """Wait until a device has registered and its temperature is observed."""
    await until(lambda: server.told("notify", endpoint), what=f"{endpoint} to be observed")


@pytest.fixture(scope="module")
def device(server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("leshan")
    with LeshanDevice(folder, f"coap://127.0.0.1:{server.port}", "plain").launch() as made:
        pytest_twisted.blockon(Deferred.fromCoroutine(here(server, "plain")))
        yield made


@ensureDeferred
async def test_it_registers_and_is_observed(server, device):
    (registered,) = server.told("register", "plain")
    assert registered["attributes"]["lwm2mVersion"] == "1.1"
    assert registered["attributes"]["lwm2mObjects"] == "1,3,5,3303"
    assert server.told("notify", "plain")[0]["telemetry"] == {"temperature": 21.5}
    device.tell("temperature 22.26")
    await until(lambda: server.told("notify", "plain")[-1]["telemetry"] == {"temperature": 22.26})


@pytest.mark.parametrize("form", ["tlv", "senml-json", "senml-cbor"])
@ensureDeferred
async def test_it_is_read_in_every_format(server, device, form):
    became, result = await server.ask("plain", "read", {"path": "/3/0", "format": form})
    assert became == "carried out"
    values = {**result["values"], "/3/0/14": "?"}
    assert values == {
        "/3/0/0": "Lobaro",
        "/3/0/1": "Box",
        "/3/0/7": {"0": 3800, "1": 5000},
        "/3/0/9": 87,
        "/3/0/11": {"0": 0},
        "/3/0/16": "U",
        "/3/0/14": "?",
    }


@pytest.mark.parametrize("form", ["text", "cbor"])
@ensureDeferred
async def test_a_single_value_is_read_alone(server, device, form):
    _, result = await server.ask("plain", "read", {"path": "/3/0/9", "format": form})
    assert (result["values"], result["names"]["/3/0/9"]["name"]) == ({"/3/0/9": 87}, "Battery Level")


@pytest.mark.parametrize("form", ["tlv", "senml-json", "senml-cbor", "text", "cbor"])
@ensureDeferred
async def test_it_is_written_in_every_format(server, device, form):
    became, result = await server.ask(
        "plain", "write", {"path": "/3/0/14", "value": f"+{form[:2]}", "format": form}
    )
    assert (became, result["code"]) == ("carried out", "2.04")
    await until(lambda: f"wrote 3/0/14 +{form[:2]}" in device.output)


@ensureDeferred
async def test_it_executes_and_refuses(server, device):
    became, _ = await server.ask("plain", "execute", {"path": "/3303/0/5605", "arguments": "0='a',1"})
    assert became == "carried out"
    await until(lambda: "executed 3303/0/5605" in device.output)
    became, result = await server.ask("plain", "write", {"path": "/3/0/9", "value": 5})
    assert (became.split(":")[0], result["code"]) == ("refused", "4.05")
    became, _ = await server.ask("plain", "read", "/3303/0/9999")
    assert became.startswith("refused: the device answered 4.04")


@ensureDeferred
async def test_its_resources_are_discovered_and_given_conditions(server, device):
    _, result = await server.ask("plain", "discover", "/3303")
    assert "</3303/0/5700>" in result["links"]
    became, _ = await server.ask(
        "plain", "write-attributes", {"path": "/3/0/9", "attributes": {"pmin": 1, "pmax": 600}}
    )
    assert became == "carried out"


@ensureDeferred
async def test_composite_requests(server, device):
    _, result = await server.ask("plain", "read-composite", ["/3/0/9", "/3/0/0"])
    assert result["values"] == {"/3/0/9": 87, "/3/0/0": "Lobaro"}
    became, _ = await server.ask("plain", "write-composite", {"values": {"/3/0/14": "+09"}})
    assert became == "carried out"
    before = len(server.told("notify", "plain"))
    became, _ = await server.ask("plain", "observe-composite", ["/3/0/9", "/3/0/14"])
    assert became == "carried out"
    await server.ask("plain", "write", {"path": "/3/0/14", "value": "+10"})
    await until(lambda: server.told("notify", "plain")[-1]["values"] == {"/3/0/9": 87, "/3/0/14": "+10"})
    assert len(server.told("notify", "plain")) >= before + 2


@pytest.mark.parametrize("form", [110, 112])
@ensureDeferred
async def test_what_it_sends_and_collects_is_taken_with_its_times(server, device, form):
    before = len(server.told("send", "plain"))
    device.tell(f"send {form} /3/0/9")
    await until(lambda: len(server.told("send", "plain")) == before + 1)
    assert server.told("send", "plain")[-1]["values"] == {"/3/0/9": 87}
    device.tell(f"collect {form}")
    await until(lambda: len(server.told("send", "plain")) == before + 2)
    first, second = server.told("send", "plain")[-1]["records"]
    assert second["ts"] > first["ts"]
    assert second["telemetry"]["temperature"] - first["telemetry"]["temperature"] == pytest.approx(1)


@ensureDeferred
async def test_it_registers_anew_when_it_is_told_that_it_is_unknown(server, device):
    (shown,) = [each for each in server.source.sessions() if each["endpoint"] == "plain"]
    assert server.source.end(shown["id"])
    device.tell("update")
    await until(lambda: len(server.told("register", "plain")) == 2)


@ensureDeferred
async def test_with_a_key_in_queue_mode_it_is_who_it_proved_to_be(server, tmp_path):
    url = f"coaps://127.0.0.1:{server.secure_port}"
    with LeshanDevice(tmp_path, url, "meter-7", 300, "queue", "psk", "id-7", KEY).launch() as secure:
        await here(server, "meter-7")
        metadata = next(
            facts for payload, facts in server.intake.received if json.loads(payload)["endpoint"] == "meter-7"
        )
        assert (metadata["identity"], metadata["identityType"], metadata["dtlsIdentity"]) == (
            "meter-7",
            "psk",
            "id-7",
        )
        (shown,) = [each for each in server.source.sessions() if each["endpoint"] == "meter-7"]
        assert (shown["queueMode"], shown["identity"]) == (True, "meter-7")
        secure.tell("temperature 30.5")
        await until(lambda: server.told("notify", "meter-7")[-1]["telemetry"] == {"temperature": 30.5})
        secure.tell("quit")
        await until(lambda: server.told("deregister", "meter-7"))


@ensureDeferred
async def test_with_a_key_it_has_no_other_name(server, tmp_path):
    url = f"coaps://127.0.0.1:{server.secure_port}"
    with LeshanDevice(tmp_path, url, "somebody", 300, "psk", "id-7", KEY).launch():
        await until(lambda: [each for each in server.intake.refusals if "somebody" in each[2]])
    assert server.told("register", "somebody") == []
