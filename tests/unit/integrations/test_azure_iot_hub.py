"""An IoT hub in a test's hands: who connects by which token, what is published where, and what an ending token costs (nothing)."""

from __future__ import annotations

import base64
import hmac
from urllib.parse import parse_qs, parse_qsl, unquote

import pytest

from iotgw import testing
from iotgw.core.errors import SettingsError
from iotgw.core.specs import IntegrationSpec
from iotgw.core.validate import convert
from iotgw.core.verdict import Delivered, Rejected, Retry, Unavailable
from iotgw.integrations import iot_hub_device
from iotgw.integrations.azure_iot_hub import IotHubSettings, IotHubType
from iotgw.testing import Verdicts, telemetry
from tests.unit.connect.brokers import CONNACK, Broker

KEY = b"a key of the tests"
HUB = f"HostName=plant.azure-devices.net;SharedAccessKeyName=device;SharedAccessKey={base64.b64encode(KEY).decode()}"
ALONE = f"HostName=plant.azure-devices.net;DeviceId=gw-1;SharedAccessKey={base64.b64encode(KEY).decode()}"
NOT_AUTHORIZED = b"\x20\x02\x00\x05"
CONNECT, PUBLISH, DISCONNECT = 1, 3, 14


class Hub:
    """The target ``it``, and a hub that answers when a test says so."""

    def __init__(self, connection=HUB, **more):
        self.clock = testing.MemoryReactor()
        self.clock.rightNow = testing.START
        self.broker = Broker()
        connector = testing.FakeConnector()
        connector.endpoints["plant.azure-devices.net", 8883] = self.broker
        spec = IntegrationSpec(name="out", type="azure-iot-hub")
        self.it = IotHubType(self.clock, connector=connector).build(
            convert({"connectionString": connection, **more}, IotHubSettings),
            testing.integration_context(spec, self.clock),
        )
        self.it.start()

    def send(self, *records):
        """Records of devices, each a pair of position and device."""
        verdicts = Verdicts()
        self.it.send([telemetry(seq, device, received_ms=1) for seq, device in records], verdicts)
        return verdicts

    def heard(self, wire):
        """What a connection has said since it was last asked: first nibble and body of each packet."""
        data, found = wire.heard(), []
        while data:
            size = shift = place = 0
            while place == 0 or data[place] & 128:
                place += 1
                size |= (data[place] & 127) << shift
                shift += 7
            found.append((data[0] >> 4, data[place + 1 : place + 1 + size]))
            data = data[place + 1 + size :]
        return found

    def let_in(self, wire=None):
        """Take a connection's CONNECT; returns client id, user name and token."""
        wire = wire or self.broker.wire
        ((kind, body),) = self.heard(wire)
        assert kind == CONNECT
        rest, texts = body[10:], []
        while rest:
            size = int.from_bytes(rest[:2])
            texts.append(rest[2 : 2 + size].decode())
            rest = rest[2 + size :]
        wire.client.dataReceived(CONNACK)
        return texts

    def published(self, wire=None):
        """Topics, payloads and identifiers that were published since the last time."""
        found = []
        for kind, body in self.heard(wire or self.broker.wire):
            if kind == PUBLISH:
                size = int.from_bytes(body[:2])
                found.append((body[2 : 2 + size].decode(), body[4 + size :], body[2 + size : 4 + size]))
        return found

    def acknowledge(self, *published, wire=None):
        for _, _, id_ in published:
            (wire or self.broker.wire).client.dataReceived(b"\x40\x02" + id_)
        self.clock.advance(0)

    def wait(self, seconds):
        for _ in range(int(seconds)):
            self.clock.advance(1.0)


def ends(token):
    """The date at which a token ends; it must be the hub's."""
    said = dict(parse_qsl(token.removeprefix("SharedAccessSignature ")))
    place = token.partition("sr=")[2].partition("&")[0]
    mac = hmac.digest(KEY, f"{place}\n{said['se']}".encode(), "sha256")
    assert base64.b64decode(said["sig"]) == mac
    return int(said["se"])


@pytest.fixture
def hub():
    return Hub()


def test_each_record_goes_over_its_own_device_s_connection(hub):
    verdicts = hub.send((1, "meter-1"), (2, "meter-2"))
    assert len(hub.broker.wires) == 2
    for wire, name, seq in zip(hub.broker.wires, ("meter-1", "meter-2"), (1, 2), strict=True):
        id_, user, token = hub.let_in(wire)
        assert (id_, user) == (name, f"plant.azure-devices.net/{name}/?api-version=2021-04-12")
        assert (
            unquote(token.partition("sr=")[2].partition("&")[0]) == f"plant.azure-devices.net/devices/{name}"
        )
        assert token.endswith("&skn=device") and ends(token) == testing.START + 3600
        ((topic, body, id_),) = hub.published(wire)
        place, _, bag = topic.rpartition("/")
        assert place == f"devices/{name}/messages/events"
        properties = {key: value for key, (value,) in parse_qs(bag).items()}
        assert properties.pop("$.mid")
        assert properties == {"deviceName": name, "$.ct": "application/json", "$.ce": "utf-8"}
        assert body.startswith(b"{")
        assert seq not in verdicts.of
        hub.acknowledge((topic, body, id_), wire=wire)
        assert verdicts.of[seq] == Delivered()
    assert hub.it.status() == {"state": "connected", "devices": 2, "lastError": None}


def test_the_key_of_one_device_sends_all_as_that_device():
    hub = Hub(ALONE)
    hub.send((1, "meter-1"), (2, "meter-2"))
    assert len(hub.broker.wires) == 1
    _, user, token = hub.let_in()
    assert user.startswith("plant.azure-devices.net/gw-1/") and "skn" not in token
    assert [parse_qs(topic.rpartition("/")[2])["deviceName"] for topic, *_ in hub.published()] == [
        ["meter-1"],
        ["meter-2"],
    ]


def test_a_connection_is_replaced_before_its_token_ends_and_nothing_is_lost_or_sent_twice(hub):
    hub.send((1, "m"))
    *_, token = hub.let_in()
    assert ends(token) == testing.START + 3600
    old = hub.broker.wire
    for seq in range(2, 13):
        hub.acknowledge(*hub.published())
        hub.wait(299)
        first = hub.send((seq, "m"))
    (in_flight,) = hub.published()
    hub.wait(20)
    second = hub.send((13, "m"))
    assert hub.published(old) == []  # the next one waits for the new connection
    assert len(hub.broker.wires) == 1 and not old.disconnected
    hub.acknowledge(in_flight, wire=old)
    assert first.of == {12: Delivered()}
    assert old.disconnected and len(hub.broker.wires) == 2
    *_, token = hub.let_in()
    assert ends(token) > testing.START + 6800
    (waited,) = hub.published()
    assert waited[1] != in_flight[1]
    hub.acknowledge(waited)
    assert second.of == {13: Delivered()}


def test_an_idle_connection_is_not_kept_for_its_token_s_sake(hub):
    hub.send((1, "m"))
    hub.let_in()
    hub.acknowledge(*hub.published())
    hub.wait(iot_hub_device.IDLE + 20)
    assert hub.broker.wire.disconnected
    assert hub.it.status()["state"] == "idle"
    hub.send((2, "m"))
    hub.let_in()
    assert len(hub.published()) == 1


def test_a_token_is_made_anew_when_the_date_jumps(hub):
    hub.send((1, "m"))
    hub.let_in()
    (first,) = hub.published()
    hub.clock.rightNow += 10_000
    hub.wait(11)
    hub.acknowledge(first)
    verdicts = hub.send((2, "m"))
    hub.wait(1)
    hub.let_in()
    hub.acknowledge(*hub.published())
    assert verdicts.of == {2: Delivered()}


def test_what_is_in_flight_when_the_hub_closes_is_sent_again_by_the_delivery_service(hub):
    verdicts = hub.send((1, "m"))
    hub.let_in()
    hub.published()
    hub.broker.wire.lose()
    assert isinstance(verdicts.of[1], Unavailable)
    hub.wait(5)
    assert len(hub.broker.wires) == 1  # nothing waits, so nothing is connected
    again = hub.send((1, "m"))
    hub.let_in()
    hub.acknowledge(*hub.published())
    assert again.of == {1: Delivered()}


def test_a_hub_that_is_away_charges_no_message(hub):
    hub.broker.is_there = False
    verdicts = hub.send((1, "m"))
    assert isinstance(verdicts.of[1], Unavailable)
    assert "refused" in hub.it.status()["lastError"]


def test_a_device_that_the_hub_does_not_know_is_that_message_s_fault_once_another_was_let_in(hub):
    verdicts = hub.send((1, "nobody"))
    hub.broker.wire.client.dataReceived(NOT_AUTHORIZED)
    assert isinstance(verdicts.of[1], Unavailable)  # it may be the key
    hub.send((2, "m"))
    hub.let_in()
    verdicts = hub.send((3, "nobody"))
    hub.broker.wire.client.dataReceived(NOT_AUTHORIZED)
    assert isinstance(verdicts.of[3], Retry)
    assert "no such device" in verdicts.of[3].reason and KEY.decode() not in verdicts.of[3].reason


def test_the_one_device_that_is_not_let_in_charges_no_message():
    hub = Hub(ALONE)
    hub.send((1, "m"))
    hub.let_in()
    hub.broker.wire.lose()
    verdicts = hub.send((1, "m"))
    hub.broker.wire.client.dataReceived(NOT_AUTHORIZED)
    assert isinstance(verdicts.of[1], Unavailable)


def test_of_many_devices_the_least_recently_used_gives_way():
    hub = Hub(connections=2)
    assert hub.it.capacity == 2
    for seq, name in enumerate(("a", "b", "a", "c")):
        hub.send((seq + 1, name))
        if seq != 2:
            hub.let_in()
        wire = hub.broker.wires[0 if name == "a" else -1]
        hub.acknowledge(*hub.published(wire), wire=wire)
    hub.clock.advance(0)
    assert [wire.disconnected for wire in hub.broker.wires] == [False, True, False]


def test_a_connection_that_is_left_has_nothing_more_to_say(hub):
    hub.send((1, "m"))
    hub.let_in()
    old = hub.broker.wire
    hub.acknowledge(*hub.published())
    hub.wait(3310)
    verdicts = hub.send((2, "m"))
    assert hub.broker.wire is not old
    old.lose()
    hub.let_in()
    hub.acknowledge(*hub.published())
    assert verdicts.of == {2: Delivered()}


@pytest.mark.parametrize("name", ["a b", "a/b", "a+b", "a#", "x" * 129, "ä"])
def test_what_no_device_of_a_hub_is_called_is_rejected(hub, name):
    assert isinstance(hub.send((1, name)).of[1], Rejected)
    assert hub.broker.wires == []


def test_a_message_beyond_256_kb_is_rejected(hub):
    verdicts = Verdicts()
    hub.it.send([telemetry(1, "m", received_ms=1, body=b"{" + b" " * (256 << 10) + b"}")], verdicts)
    assert "takes 262144" in verdicts.of[1].reason


def test_a_check_tells_a_hub_that_answers_from_one_that_does_not(hub):
    found = []
    hub.it.check().addCallback(found.append)
    assert b"iotgw-check" in hub.broker.wire.value()
    hub.broker.wire.client.dataReceived(NOT_AUTHORIZED)
    hub.clock.advance(1)
    assert (found[0]["ok"], found[0]["detail"]) == (True, "plant.azure-devices.net answers")
    hub.broker.is_there = False
    hub.it.check().addCallback(found.append)
    hub.clock.advance(1)
    assert found[1]["ok"] is False


def test_it_disconnects_at_its_end(hub):
    hub.send((1, "m"))
    hub.let_in()
    hub.published()
    done = []
    hub.it.stop().addCallback(done.append)
    hub.clock.advance(0)
    assert done and hub.heard(hub.broker.wire)[-1][0] == DISCONNECT


@pytest.mark.parametrize(
    "connection",
    [
        "HostName=plant.azure-devices.net",
        "HostName=plant.azure-devices.net;SharedAccessKeyName=device;SharedAccessKey=!",
        "HostName=a/b;SharedAccessKeyName=device;SharedAccessKey=YQ==",
        "HostName=a:99999;SharedAccessKeyName=device;SharedAccessKey=YQ==",
        "HostName=a;DeviceId=a b;SharedAccessKey=YQ==",
        "HostName=a;DeviceId=b;SharedAccessKeyName=c;SharedAccessKey=YQ==",
        "Endpoint=sb://x/;SharedAccessKeyName=a;SharedAccessKey=YQ==",
    ],
)
def test_what_is_no_connection_string_of_a_hub_is_refused_and_not_repeated(connection):
    with pytest.raises(SettingsError, match="connectionString") as error:
        convert({"connectionString": connection}, IotHubSettings)
    assert "YQ==" not in str(error.value)


@pytest.mark.parametrize(
    ("more", "url"),
    [
        ({}, "mqtts://plant.azure-devices.net:8883"),
        ({"websocket": True}, "wss://plant.azure-devices.net:443/$iothub/websocket"),
    ],
)
def test_a_hub_is_reached_by_mqtt_or_in_a_websocket(more, url):
    broker = convert({"connectionString": HUB, **more}, IotHubSettings).broker().broker
    assert (f"{broker.address.partition('/$')[0]}{broker.path}", broker.tls is not None) == (url, True)
