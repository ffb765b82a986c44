"""What is said of a RabbitMQ datasource's and target's settings when they are saved."""

from __future__ import annotations

import sys

import pytest

from iotgw import testing
from iotgw.app.parts import DATASOURCES, INTEGRATIONS
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


def test_the_port_is_the_usual_one_of_its_kind():
    assert (source().broker_port, source(tls={}).broker_port, source(port=7).broker_port) == (5672, 5671, 7)


def test_without_the_extra_the_types_say_what_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pika", None)
    with pytest.raises(SettingsError, match=r"pip install 'iotgw\[rabbitmq\]'"):
        SOURCES.get("rabbitmq").build(source(), testing.datasource_context(testing.FakeIntake()))
    with pytest.raises(SettingsError, match=r"pip install 'iotgw\[rabbitmq\]'"):
        TARGETS.get("rabbitmq").build(
            TARGETS.configure("rabbitmq", {"host": "h"}), testing.integration_context()
        )
