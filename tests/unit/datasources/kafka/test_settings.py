"""What is said of a Kafka datasource's settings when it is saved."""

from __future__ import annotations

import sys

import pytest

from iotgw import testing
from iotgw.app.parts import DATASOURCES
from iotgw.core.destination import destination
from iotgw.core.errors import SettingsError
from iotgw.core.secrets import masked, sealed
from iotgw.core.types import Types
from iotgw.datasources.kafka.settings import KafkaSourceSettings

REACTOR = testing.MemoryReactor()
CONNECTOR = testing.FakeConnector()
TYPES = Types("none", REACTOR, DATASOURCES, CONNECTOR)
PASSWORD = {"mechanism": "PLAIN", "username": "u", "password": "open sesame"}
TOKEN = {"tokenUrl": "https://id.example/token", "clientId": "c", "clientSecret": "s"}


def configure(**settings):
    return TYPES.configure("kafka", {"brokers": ["h"], "topics": ["t"], **settings})


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"brokers": []}, "length"),
        ({"brokers": ["h," * 60 + "h", "i," * 60 + "i"]}, "at most 100 to begin with, got 122"),
        ({"brokers": ["h:port"]}, "host:port"),
        ({"brokers": ["h:99999"]}, "host:port"),
        ({"brokers": ["h;g"]}, "host:port"),
        ({"brokers": ["h", ""]}, "host:port"),
        ({"brokers": ["h,"]}, "host:port"),
        ({"brokers": ["http://h:9092"]}, "SASL_SSL://"),
        ({"brokers": ["ssl://h", "plaintext://i"]}, "for all of them or for none"),
        ({"brokers": ["PLAINTEXT://h"], "tls": {}}, "tls: expected none"),
        ({"topics": []}, "topics or a pattern"),
        ({"pattern": "a.*"}, "topics or a pattern"),
        ({"topics": ["a/b"]}, "names of letters"),
        ({"topics": [".."]}, "names of letters"),
        ({"topics": ["a" * 250]}, "names of letters"),
        ({"topics": [], "pattern": "("}, "regular expression"),
        ({"topics": [], "pattern": "(a+)+b"}, "pattern: expected a regular expression with fewer ways"),
        ({"group": "a\x01"}, "control characters"),
        ({"from": "yesterday"}, "yesterday"),
        ({"sasl": {"mechanism": "GSSAPI"}}, "GSSAPI"),
        ({"sasl": {"mechanism": "PLAIN", "username": "u"}}, "password"),
        ({"sasl": {"mechanism": "OAUTHBEARER"}}, "oauth2"),
        ({"sasl": {**PASSWORD, "oauth2": TOKEN}}, "oauth2"),
        ({"preset": "unheard-of"}, "preset"),
    ],
)
def test_a_setting_that_can_t_be_meant_is_refused_with_a_sentence(settings, problem):
    with pytest.raises(SettingsError, match=problem):
        configure(**settings)


@pytest.mark.parametrize(
    ("text", "broker"),
    [
        ("Kafka.Example", "kafka.example:9092"),
        ("h:9093", "h:9093"),
        ("ssl://h:9093", "h:9093"),
        ("10.0.0.1:1", "10.0.0.1:1"),
        ("[2001:db8::1]:9094", "[2001:db8::1]:9094"),
    ],
)
def test_brokers_are_taken_as_people_write_them(text, broker):
    assert configure(brokers=[text]).bootstrap == [broker]


def test_a_password_before_a_broker_is_not_repeated():
    with pytest.raises(SettingsError, match="belong to sasl") as caught:
        configure(brokers=["kafka://user:open%20sesame@h:1"])
    assert "sesame" not in str(caught.value)


def test_a_list_is_taken_as_its_owners_paste_it():
    assert configure(brokers=["h1:9093, SSL://h2:9093", "h3"]).bootstrap == ["h1:9093", "h2:9093", "h3:9092"]


@pytest.mark.parametrize(
    ("settings", "is_tls"),
    [
        ({"brokers": ["h"]}, False),
        ({"brokers": ["SASL_PLAINTEXT://h"]}, False),
        ({"brokers": ["kafka://h"]}, False),
        ({"brokers": ["kafka://h"], "tls": {}}, True),
        ({"brokers": ["SSL://h"]}, True),
        ({"brokers": ["h", "SASL_SSL://i"]}, True),
    ],
)
def test_tls_is_what_is_said_of_it(settings, is_tls):
    configured = configure(**settings)
    assert (configured.way_of_tls is not None) is is_tls
    built = TYPES.get("kafka").build(configured, testing.datasource_context(testing.FakeIntake(), REACTOR))
    assert built.status()["address"].startswith("kafka+tls://" if is_tls else "kafka://")


def test_secrets_are_never_shown_and_stay_with_their_cluster():
    body = {"brokers": ["h"], "topics": ["t"], "sasl": PASSWORD}
    registry = testing.MemoryRegistry(testing.clock())
    stored = sealed(body, KafkaSourceSettings, registry)
    assert masked(stored, KafkaSourceSettings, registry.unseal)["sasl"]["password"] == "***"
    assert destination(configure(brokers=["a", "b"])) == destination(configure(brokers=["b", "a:9092"]))
    assert destination(configure()) != destination(configure(brokers=["elsewhere"]))
    assert destination(configure(tls={})) != destination(configure())
    one = {"mechanism": "OAUTHBEARER", "oauth2": TOKEN}
    other = {"mechanism": "OAUTHBEARER", "oauth2": {**TOKEN, "tokenUrl": "https://elsewhere.example/token"}}
    assert destination(configure(sasl=one)) != destination(configure(sasl=other))


def test_the_group_is_the_datasource_s_own_unless_it_is_named():
    assert configure().group_of("ds1") == "iotgw-ds1"
    assert configure(group="g").group_of("ds1") == "g"


def test_without_the_extra_the_type_says_what_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "aiokafka", None)
    with pytest.raises(SettingsError, match=r"pip install 'iotgw\[kafka\]'"):
        TYPES.get("kafka").build(configure(), testing.datasource_context(testing.FakeIntake(), REACTOR))


@pytest.mark.parametrize("tls", [{"ca": "nonsense"}, {"key": "-----BEGIN ENCRYPTED PRIVATE KEY-----"}])
def test_tls_that_can_t_be_used_is_refused(tls):
    with pytest.raises(SettingsError, match=r"configuration\.tls"):
        TYPES.get("kafka").build(
            configure(tls=tls), testing.datasource_context(testing.FakeIntake(), REACTOR)
        )
