"""Which listeners take what anybody sends, and so are named when the gateway starts."""

from __future__ import annotations

import pytest

from iotgw import testing
from iotgw.app.parts import DATASOURCES
from iotgw.connect.endpoint import Connector
from iotgw.core.ports.datasources import IListens
from iotgw.core.types import Types
from iotgw.datasources.openness import GUESSABLE, NO_PROOF

TYPES = Types("none", testing.MemoryReactor(), DATASOURCES, Connector(testing.MemoryReactor()))
LONG = "0123456789abcdef"
HERE = {"interface": "127.0.0.1"}


@pytest.mark.parametrize(
    ("name", "key", "configuration", "reason"),
    [
        *[
            (name, "", {}, NO_PROOF)
            for name in ("tcp", "udp", "tekelek", "dragino", "dragino-udp", "lobaro-udp")
        ],
        *[(name, LONG, {}, NO_PROOF) for name in ("lobaro-coap", "dragino-coap")],
        *[(name, "", HERE, "") for name in ("tcp", "udp", "lobaro-coap")],
        ("tcp", "", {"interface": "::1"}, ""),
        ("tcp", "", {"interface": "::"}, NO_PROOF),
        ("coap", LONG, {}, ""),
        ("coap", "field", {}, GUESSABLE),
        ("coap", "field", HERE, ""),
        ("coap", "field", {"securityMode": "DTLS"}, ""),
        ("coap", "field", {"securityMode": "MIXED"}, GUESSABLE),
        ("coap", LONG, {"paths": ["m"]}, NO_PROOF),
        ("coap", LONG, {"lenient": ["no-path"]}, NO_PROOF),
        ("lobaro-coap", LONG, {"securityMode": "DTLS"}, ""),
        ("http", LONG, {}, ""),
        ("http", "field", {}, GUESSABLE),
        ("http", "field", {"security": {"mode": "bearer", "token": "t"}}, ""),
        ("http", "field", {"headersFilter": {"X-Key": "k"}}, ""),
    ],
)
def test_who_takes_what_anybody_sends(name, key, configuration, reason):
    type_ = TYPES.get(name)
    settings = TYPES.configure(name, configuration)
    assert type_.open_to_all(settings, testing.datasource_context(routing_key=key)) == reason


def test_all_types_with_listeners_say_so():
    assert {type_.name for type_ in TYPES if not IListens.providedBy(type_)} == {
        "mqtt",
        "dragino-mqtt",
        "kafka",
        "opc-ua",
        "azure-event-hub",
        "azure-iot-hub",
        "rabbitmq",
        "aws-sqs",
        "aws-kinesis",
    }
