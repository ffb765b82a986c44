"""An opc-ua datasource without a server: settings, uplinks, and what becomes of downlinks."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from iotgw.connect import opcua
from iotgw.connect.opcua_plan import Bad, Done, Sample
from iotgw.core.errors import SettingsError
from iotgw.core.model import Downlink
from iotgw.core.secrets import masked
from iotgw.core.validate import convert
from iotgw.datasources.opcua.datasource import OpcuaType
from iotgw.datasources.opcua.settings import OpcuaSettings
from iotgw.testing import FakeConnector
from tests.certificates import Authority, composite_rsa
from tests.unit.datasources.fakes import FakeIntake, context


def settings(**given):
    return convert({"url": "opc.tcp://h", **given}, OpcuaSettings, "configuration")


class Client:
    """What was asked of the server."""

    def __init__(self):
        self.asked = []
        self.done = Done("delivered", "", {"speed": 1.0})

    def start(self):
        self.asked.append("start")

    def stop(self):
        self.asked.append("stop")
        return succeed(None)

    def pause(self):
        self.asked.append("pause")

    def resume(self):
        self.asked.append("resume")

    def write(self, device_id, values):
        self.asked.append(("write", device_id, values))
        return succeed(self.done)

    def call(self, device_id, method, arguments):
        self.asked.append(("call", device_id, method, arguments))
        return succeed(self.done)


class Field:
    def __init__(self, monkeypatch, **given):
        self.client = Client()
        monkeypatch.setattr("iotgw.datasources.opcua.datasource.OpcuaClient", lambda *about: self.client)
        self.intake = FakeIntake()
        clock = Clock()
        self.source = OpcuaType(clock, FakeConnector()).build(settings(**given), context(self.intake, clock))

    def send(self, payload, **metadata):
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self.source.push({"identity": "ns=2;s=Line1"}, (Downlink("1", "d", data, metadata=metadata),))
        return self.intake.outcomes[-1][1]


@pytest.fixture
def field(monkeypatch):
    return Field(monkeypatch)


def sample(**more):
    about = {
        "node": "ns=2;s=Line1.speed", "name": "speed", "device": "Line1", "device_id": "ns=2;s=Line1", "value": 9.5,
        "source_ms": 1000, "server_ms": 2000, "status": "Good",
    }  # fmt: skip
    return Sample(**{**about, **more})


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ({}, "opc.tcp://h:4840"),
        ({"url": "opc.tcp://H:1/path"}, "opc.tcp://h:1"),
        ({"url": "opc.tcp://u:p@h"}, "opc.tcp://h:4840"),
        ({"url": " opc.tcp://h\n"}, "opc.tcp://h:4840"),
        ({"url": "opc.tcp://[::1]:5"}, "opc.tcp://[::1]:5"),
    ],
)
def test_a_server_is_found_by_its_url(given, address):
    assert settings(**given).address == address


def test_user_and_password_may_stand_in_the_url_and_are_masked_there():
    made = settings(url="opc.tcp://us%40er:p%2Fw@h/x")
    assert (made.plan().url, made.plan().username, made.plan().password) == (
        "opc.tcp://h:4840/x",
        "us@er",
        "p/w",
    )
    assert masked({"url": "opc.tcp://u:p@h"}, OpcuaSettings, str) == {"url": "opc.tcp://u:***@h"}


def test_without_nodes_everything_below_objects_is_browsed():
    assert settings().plan().browse == ("i=85",)
    assert settings(nodes=["ns=2;s=v"]).plan().browse == ()
    assert settings(nodes=["i=1"], browse=["nsu=urn:x;s=a"]).plan().browse == ("nsu=urn:x;s=a",)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"url": "http://h"}, "url: expected opc.tcp://host:port"),
        ({"url": "opc.tcp://"}, "url: expected opc.tcp://host:port"),
        ({"url": "opc.tcp://u:geheim@h:x"}, "url: expected opc.tcp://host:port"),
        ({"url": "opc.tcp://u@h", "username": "v"}, "username: expected none beside a URL"),
        ({"nodes": ["speed"]}, "nodes: expected a node id such as ns=2;s=Line1.Speed, got 'speed'"),
        ({"browse": ["ns=x;s=a"]}, "browse: expected a node id"),
        ({"deadband": 101, "deadbandPercent": True}, "deadband: expected at most 100 percent"),
        ({"deviceName": "a\x01"}, "deviceName: expected no control characters"),
        (
            {"security": {"policy": "Basic256Sha256"}},
            "certificate: expected PEM text, which the policy needs",
        ),
        ({"security": {"certificate": "x"}}, "certificate: expected none without a policy"),
        ({"publishingInterval": 0}, "publishingInterval"),
    ],
)
def test_what_is_wrong_is_refused_when_it_is_saved(given, problem):
    with pytest.raises(SettingsError) as caught:
        settings(**given)
    assert problem in str(caught.value) and "geheim" not in str(caught.value)


def test_security_needs_both_certificates_and_a_key_in_the_clear():
    ours = Authority().issue("gateway", kind="rsa")
    pem, key = ours.pem().decode(), ours.key_pem().decode()
    right = {"policy": "Basic256Sha256", "certificate": pem, "key": key, "serverCertificate": pem}
    assert settings(security=right).plan().application_uri == ""
    for name, text in (
        ("key", ours.key_pem("word").decode()),
        ("key", Authority().issue("of another kind").key_pem().decode()),
        ("certificate", "a name"),
        ("serverCertificate", ""),
    ):
        with pytest.raises(SettingsError):
            settings(security={**right, name: text})
    with pytest.raises(SettingsError, match="expected a certificate in PEM text"):
        settings(
            security={**right, "certificate": "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----"}
        )


def test_a_key_that_is_longer_than_its_policies_have_is_refused():
    pem = Authority().issue("gateway", kind="rsa").pem().decode()
    key = composite_rsa(4098).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    given = {"policy": "Basic256Sha256", "certificate": pem, "key": key, "serverCertificate": pem}
    with pytest.raises(SettingsError, match="an RSA key of at most 4096 bits"):
        settings(security=given)


def test_without_the_extra_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setattr(opcua, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"pip install 'iotgw\[opc-ua\]'"):
        OpcuaType(Clock(), FakeConnector()).build(settings(), context(FakeIntake(), Clock()))


def test_a_value_is_an_uplink_of_its_object(field):
    field.source.on_values([sample()])
    ((payload, facts),) = field.intake.received
    assert json.loads(payload) == {"speed": 9.5, "ts": 1000}
    assert facts["identity"] == "ns=2;s=Line1" and facts["deviceName"] == "Line1"
    assert (facts["sourceTime"], facts["serverTime"], facts["time"]) == (1000, 2000, 1000)
    assert (facts["nodeId"], facts["name"], facts["status"]) == ("ns=2;s=Line1.speed", "speed", "Good")


def test_a_value_without_a_time_and_one_with_a_name_that_has_a_meaning(field):
    field.source.on_values([sample(name="ts", source_ms=None, server_ms=None)])
    ((payload, facts),) = field.intake.received
    assert json.loads(payload) == {"ts_": 9.5} and "sourceTime" not in facts and "serverTime" not in facts


def test_an_overflow_of_the_server_s_queue_is_counted_and_told(field):
    field.source.on_values([sample(is_lossy=True)])
    assert field.intake.received[0][1]["overflow"] is True and field.source.status()["overflows"] == 1


def test_bad_values_are_counted_and_told_of_once_a_minute(field):
    bad = Bad("ns=2;s=v", "speed", "Line1", "BadSensorFailure")
    field.source.on_values([bad] * 100)
    assert (
        field.source.status()["bad"] == 100 == field.source.status()["values"] and field.intake.received == []
    )
    assert [kind for kind, _ in field.intake.events] == ["value.bad"]
    assert "Line1, speed (ns=2;s=v): BadSensorFailure" in field.intake.events[0][1]


def test_the_server_is_paused_while_the_gateway_is_full(field):
    field.intake.fill()
    field.source.on_values([sample(), sample(value=2.0)])
    assert field.client.asked == ["pause"] and field.source.status()["paused"] == 1
    assert field.source.status()["waitsForRoom"]
    field.intake.drain()
    assert field.client.asked == ["pause", "resume"] and len(field.intake.received) == 2
    assert "waitsForRoom" not in field.source.status()


def test_the_status_says_how_it_stands(field):
    assert field.source.status()["state"] == "connecting" and not field.source.keeps_downlinks
    field.source.on_lost("refused")
    field.source.on_lost("refused")
    assert field.source.status()["lastError"] == "refused"
    field.source.on_up(12)
    status = field.source.status()
    assert (status["state"], status["variables"]) == ("connected", 12) and "lastError" not in status
    assert "at most once" in status["delivery"] and field.source.keeps_downlinks
    assert [kind for kind, _ in field.intake.events] == ["failed", "connected"]


@pytest.mark.parametrize(
    ("payload", "metadata", "asked"),
    [
        ({"speed": 1}, {}, ("write", "ns=2;s=Line1", {"speed": 1})),
        ({"method": "reset"}, {}, ("call", "ns=2;s=Line1", "reset", [])),
        ({"method": "reset", "arguments": [1]}, {}, ("call", "ns=2;s=Line1", "reset", [1])),
        ({"arguments": [1]}, {"method": "reset"}, ("call", "ns=2;s=Line1", "reset", [1])),
    ],
)
def test_a_downlink_writes_or_calls(field, payload, metadata, asked):
    assert field.send(payload, **metadata) == "delivered"
    assert field.client.asked == [asked] and field.intake.results == {"1": {"speed": 1.0}}
    assert [state for _, state in field.intake.outcomes] == ["sent", "delivered"]


@pytest.mark.parametrize("payload", [b"on", b"[1]", b"{}", {"method": 1}, {"method": "a", "arguments": 1}])
def test_a_downlink_that_says_nothing_to_a_server_is_refused(field, payload):
    assert field.send(payload).startswith("refused: expected") and field.client.asked == []


@pytest.mark.parametrize(
    ("done", "outcome"),
    [
        (Done("refused", "speed: the server took it, and reads 1.0", {"speed": 1.0}), "refused: speed:"),
        (Done("lost", "the server is not connected"), "lost: the server is not connected"),
    ],
)
def test_what_did_not_succeed_says_why(field, done, outcome):
    field.client.done = done
    assert field.send({"speed": 2}).startswith(outcome)


def test_stopping_hands_over_what_waits():
    clock = Clock()
    intake = FakeIntake()
    connector = FakeConnector()
    source = OpcuaType(clock, connector).build(settings(), context(intake, clock))
    source.start()
    stopped: list[object] = []
    source.stop().addCallback(stopped.append)
    assert stopped == [None] and intake.events == []
    assert isinstance(source.stop(), Deferred)
