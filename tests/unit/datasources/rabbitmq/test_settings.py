"""What is said of a RabbitMQ datasource's and target's settings when they are saved."""

from __future__ import annotations

import sys

import pytest

from iotgw import testing
from iotgw.app.parts import DATASOURCES, INTEGRATIONS
from iotgw.connect.rabbit_access import RabbitPlace
from iotgw.connect.tls import ClientTls
from iotgw.core.errors import SettingsError
from iotgw.core.types import Types

SOURCES = Types("none", testing.MemoryReactor(), DATASOURCES, testing.FakeConnector())
TARGETS = Types("none", testing.MemoryReactor(), INTEGRATIONS, testing.FakeConnector())


def source(**settings):
    return SOURCES.configure("rabbitmq", {"host": "h", "queue": "q", **settings})


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"queue": ""}, "queue"),
        ({"queue": "q" * 256}, "255 bytes"),
        ({"queue": "a\x00"}, "control characters"),
        ({"virtualHost": "v" * 256}, "255 bytes"),
        ({"bindings": [{"exchange": ""}]}, "exchange"),
        ({"bindings": [{"exchange": "e", "routingKey": "k" * 256}]}, "255 bytes"),
        ({"prefetch": 0}, "prefetch"),
        ({"username": ""}, "client certificate"),
        ({"preset": "unheard-of"}, "preset"),
    ],
)
def test_a_setting_that_can_t_be_meant_is_refused_with_a_sentence(settings, problem):
    with pytest.raises(SettingsError, match=problem):
        source(**settings)


@pytest.mark.parametrize("settings", [{"routingKey": "{{ x"}, {"routingKey": "a\x01"}])
def test_a_routing_key_that_can_t_be_made_is_refused(settings):
    made = TARGETS.configure("rabbitmq", {"host": "h", **settings})
    with pytest.raises(SettingsError, match="routingKey"):
        TARGETS.get("rabbitmq").build(made, testing.integration_context())


TLS = ClientTls()


@pytest.mark.parametrize(
    ("settings", "place"),
    [
        ({}, RabbitPlace("h", 5672, None, "/", "guest", "")),
        ({"tls": {}}, RabbitPlace("h", 5671, TLS, "/", "guest", "")),
        ({"port": 7, "virtualHost": "v"}, RabbitPlace("h", 7, None, "v", "guest", "")),
        ({"host": "h:7"}, RabbitPlace("h", 7, None, "/", "guest", "")),
        ({"host": "::1"}, RabbitPlace("::1", 5672, None, "/", "guest", "")),
        ({"host": "amqp://H"}, RabbitPlace("h", 5672, None, "/", "guest", "")),
        ({"host": "amqp://u:p%40@h:7/a%2Fb"}, RabbitPlace("h", 7, None, "a/b", "u", "p@")),
        ({"host": "amqp://u:p@h/%2f"}, RabbitPlace("h", 5672, None, "/", "u", "p")),
        ({"host": "amqps://u:p@h/v"}, RabbitPlace("h", 5671, TLS, "v", "u", "p")),
        (
            {"host": "amqps://h/", "virtualHost": "v", "password": "p"},
            RabbitPlace("h", 5671, TLS, "v", "guest", "p"),
        ),
    ],
)
def test_a_broker_is_found_in_every_form(settings, place):
    assert source(**settings).place == place


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"host": "http://h"}, "expected a URL with amqp or amqps"),
        ({"host": "amqp://u:secret@"}, "expected a URL with a host"),
        ({"host": "amqp://u:secret@h:0"}, "port of 1 to 65535"),
        ({"host": "amqp://u:secret@h/a/b"}, "virtual host, and nothing more"),
        ({"host": "amqp://u:secret@h/a?heartbeat=5"}, "virtual host, and nothing more"),
        ({"host": "amqp://u:secret@h", "password": "x"}, "username"),
        ({"host": "amqp://h:1", "port": 2}, "port: expected none beside a URL"),
        ({"host": "h:1", "port": 2}, "port: expected none beside a host"),
        ({"host": "amqp://h/a", "virtualHost": "b"}, "virtualHost: expected none"),
        ({"host": "amqp://h", "tls": {}}, "tls: expected none with amqp://"),
        ({"host": "u:secret@h"}, "expected a name, an address or a URL"),
    ],
)
def test_what_leads_to_no_broker_is_refused_without_its_secret(settings, problem):
    with pytest.raises(SettingsError, match=problem) as caught:
        source(**settings)
    assert "secret" not in str(caught.value)


def test_without_the_extra_the_types_say_what_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pika", None)
    with pytest.raises(SettingsError, match=r"pip install 'iotgw\[rabbitmq\]'"):
        SOURCES.get("rabbitmq").build(source(), testing.datasource_context(testing.FakeIntake()))
    with pytest.raises(SettingsError, match=r"pip install 'iotgw\[rabbitmq\]'"):
        TARGETS.get("rabbitmq").build(
            TARGETS.configure("rabbitmq", {"host": "h"}), testing.integration_context()
        )
