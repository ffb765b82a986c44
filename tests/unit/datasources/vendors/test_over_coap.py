"""Dragino and Lobaro devices over CoAP, on a real loopback socket."""

from __future__ import annotations

import json
from pathlib import Path

import cbor2
import pytest
import pytest_twisted
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from iotgw.core.ports.datasources import DatasourceContext
from iotgw.core.validate import convert
from iotgw.datasources.vendors.dragino import DraginoCoapType
from iotgw.datasources.vendors.lobaro import LobaroCoapType
from iotgw.envelopes.dragino import DraginoEnvelope
from iotgw.envelopes.lobaro import LobaroRequests
from iotgw.wire.coap import numbers as n
from tests.unit.datasources.coap.test_datasource import LOCAL, House
from tests.unit.datasources.fakes import FakeIntake

VECTORS = json.loads((Path(__file__).parents[3] / "data" / "dragino.json").read_text())
NDDS75 = next(vector["hex"] for vector in VECTORS if vector["name"].startswith("D3"))
IMEI = "867787054545078"
ENVELOPE = {"i": "123456101550542", "n": 7, "d": {"vbat": 3688}}


class Field(House):
    """As `House`, with vendor types on the ports of its coap type."""

    def __init__(self) -> None:
        super().__init__()
        self.vendors = [DraginoCoapType(reactor), LobaroCoapType(reactor)]

    async def vendor(self, name, **configuration):
        type_ = next(each for each in self.vendors if each.name == name)
        intake = FakeIntake()
        settings = convert({**LOCAL, **configuration}, type_.settings)
        source = type_.build(
            settings,
            DatasourceContext(name, name, "default", "", {}, intake, reactor, None, shares=self.shares),
        )
        await source.start()
        self.open.append(source)
        return self.device(source), intake, source


@pytest.fixture
def field():
    made = Field()
    yield made
    pytest_twisted.blockon(Deferred.fromCoroutine(made.close()))


@ensureDeferred
async def test_a_node_s_hexadecimal_text_is_a_frame_wherever_it_is_put(field):
    device, intake, _ = await field.vendor("dragino-coap")
    reply = await device.post("mqtt/coap", NDDS75.encode(), code=n.PUT)
    assert (reply.type, reply.code) == (n.ACK, n.CHANGED)
    payload, facts = intake.received[0]
    assert payload == bytes.fromhex(NDDS75)
    assert (facts["deviceModel"], facts["identity"], facts["encoding"]) == ("NDDS75", IMEI, "asciihex")


@ensureDeferred
async def test_a_downlink_rides_in_the_acknowledgement_as_hexadecimal_text(field):
    device, intake, _ = await field.vendor("dragino-coap")
    intake.put(IMEI, bytes.fromhex("01000384"))
    reply = await device.post("", NDDS75.encode())
    assert (reply.type, reply.code, reply.payload) == (n.ACK, n.CHANGED, b"01000384")


@ensureDeferred
async def test_what_is_no_frame_is_kept_and_answered_with_4_00(field):
    device, intake, _ = await field.vendor("dragino-coap")
    reply = await device.post("", b"hello" * 20)
    assert reply.code == n.BAD_REQUEST and b"expected a Dragino frame" in reply.payload
    assert intake.rejected[0][0] == b"hello" * 20


@ensureDeferred
async def test_only_the_path_that_is_set_is_served(field):
    device, _, _ = await field.vendor("dragino-coap", path="nodes")
    assert (await device.post("nodes/1", NDDS75.encode())).code == n.CHANGED
    assert (await device.post("other", NDDS75.encode(), mid=2)).code == n.NOT_FOUND


@ensureDeferred
async def test_a_lobaro_envelope_and_its_downlink_in_cbor(field):
    device, intake, _ = await field.vendor("lobaro-coap")
    intake.put("123456101550542", b'{"q":"config","d":{"cmodeDurSec":123}}')
    device.send(n.CON, n.POST, 1, "any/path", cbor2.dumps(ENVELOPE))
    reply = await device.next()
    while not reply.payload:
        # an empty ACK first: the response is a message of its own, which the device acknowledges
        reply = await device.next()
    assert cbor2.loads(reply.payload) == {"q": "config", "d": {"cmodeDurSec": 123}}
    assert reply.options.get_uint(n.CONTENT_FORMAT) == n.CBOR
    facts = intake.received[0][1]
    assert facts["input"] == {**ENVELOPE, "q": "data"} and facts["messageName"] == "data"


@pytest.mark.parametrize(
    ("path", "payload", "identity"),
    [
        ("up?i=other", cbor2.dumps(ENVELOPE), "123456101550542"),
        ("up?i=352656090000017", b"\x01", "352656090000017"),
        ("up?address=352656090000017", b"\x01", "352656090000017"),
        ("up/352656090000017", b"\x01", "352656090000017"),
        ("", b"\x01", None),
    ],
)
@ensureDeferred
async def test_who_it_is_from_in_the_order_of_trust(field, path, payload, identity):
    device, intake, _ = await field.vendor("lobaro-coap")
    await device.post(path, payload)
    assert intake.received[0][1].get("identity") == identity


@pytest.mark.parametrize(
    ("envelope", "payload"),
    [
        (LobaroRequests(), cbor2.dumps(ENVELOPE)),
        (DraginoEnvelope({}, "", "asciihex"), NDDS75.encode()),
    ],
)
def test_what_a_certificate_proved_outranks_what_the_payload_says(envelope, payload):
    proved = {"identity": "70b3d5e050020901", "identityType": "x509"}
    (reading,) = envelope.read(payload, proved, 0)
    assert reading.metadata(proved)["identity"] == "70b3d5e050020901"


@ensureDeferred
async def test_the_query_says_what_kind_of_message_it_is(field):
    device, intake, _ = await field.vendor("lobaro-coap")
    await device.post("up?q=status", cbor2.dumps(ENVELOPE))
    facts = intake.received[0][1]
    assert facts["messageName"] == facts["input"]["q"] == "status"


@ensureDeferred
async def test_they_share_a_port_with_a_coap_datasource(field):
    device, intake, source = await field.vendor("lobaro-coap", port=0)
    port = source._shares[0].port.address[1]
    assert port
    plain, other = await field.datasource("k1")
    # port 0 is one key: both are served on the same socket
    assert plain._shares[0].port is source._shares[0].port
    assert (await device.post("i/k1", b"a")).code == n.CHANGED
    assert (await device.post("elsewhere", b"b", mid=2)).code == n.CHANGED
    assert [payload for payload, _ in other.received] == [b"a"]
    assert [payload for payload, _ in intake.received] == [b"b"]
