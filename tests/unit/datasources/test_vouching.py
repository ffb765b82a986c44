"""Which datasources start trusted to speak for any device: those that hear of devices from somebody who knows them."""

import pytest

from iotgw import testing
from iotgw.app.parts import DATASOURCES
from iotgw.connect.endpoint import Connector
from iotgw.core.ports.datasources import IVouches
from iotgw.core.types import Types
from tests.unit.testing.test_ports import SETTINGS

TYPES = Types("none", testing.MemoryReactor(), DATASOURCES, Connector(testing.MemoryReactor()))


def vouches(name, **more):
    type_ = TYPES.get(name)
    settings = TYPES.configure(name, {**SETTINGS.get(name, {}), **more})
    return IVouches.providedBy(type_) and type_.vouches(settings)


def test_brokers_and_platforms_do_and_open_ports_do_not():
    assert {type_.name for type_ in TYPES if vouches(type_.name)} == {
        "mqtt",
        "dragino-mqtt",
        "kafka",
        "opc-ua",
        "azure-event-hub",
        "azure-iot-hub",
        "rabbitmq",
        "aws-sqs",
        "google-pubsub",
        "google-pubsub-push",
        "aws-kinesis",
    }


@pytest.mark.parametrize(("profile", "does"), [("none", False), ("sigfox", True)])
def test_of_http_those_with_a_platform_s_profile(profile, does):
    assert vouches("http", profile=profile) is does
