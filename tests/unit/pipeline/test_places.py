"""Listeners are open everywhere; a subscription is open on the node that holds its lease."""

from types import SimpleNamespace

from zope.interface import implementer

from iotgw.core.ports.datasources import IRunsOnce
from iotgw.core.specs import DatasourceSpec
from iotgw.core.types import Types
from iotgw.datasources.kafka.datasource import KafkaSourceType
from iotgw.datasources.kinesis.datasource import KinesisSourceType
from iotgw.datasources.mqtt.source_type import MqttSourceType
from iotgw.datasources.opcua.datasource import OpcuaType
from iotgw.pipeline.places import LeasedPlaces, Nowhere


@implementer(IRunsOnce)
class Subscription:
    name = "subscription"
    settings = None


class Listener:
    name = "listener"
    settings = None


class Leases:
    def __init__(self):
        self.held, self.sought = set(), {}

    def seek(self, what, changed):
        self.sought[what] = changed

    def holds(self, what):
        return what in self.held

    def give_up(self, what):
        del self.sought[what]


def world():
    leases, moved = Leases(), []
    types = Types("none", SimpleNamespace(), [lambda _: Subscription(), lambda _: Listener()])
    places = LeasedPlaces(leases, types)
    places.listen(moved.append)
    return leases, places, moved


def spec(type_):
    return DatasourceSpec(name="d", type=type_, converter="-")


def test_a_listener_is_open_on_every_node():
    leases, places, _ = world()
    assert places.is_here("1", spec("listener"), True) and not leases.sought
    assert not places.is_here("1", spec("listener"), False)
    assert not places.is_elsewhere("1")


def test_a_subscription_is_open_where_its_lease_is():
    leases, places, moved = world()
    assert not places.is_here("1", spec("subscription"), True)
    assert places.is_elsewhere("1")
    leases.held.add("datasource/1")
    leases.sought["datasource/1"]()
    assert moved == ["1"] and places.is_here("1", spec("subscription"), True)
    assert not places.is_elsewhere("1")


def test_a_subscription_that_is_disabled_lets_go_of_its_lease():
    leases, places, _ = world()
    places.is_here("1", spec("subscription"), True)
    assert not places.is_here("1", spec("subscription"), False)
    assert not leases.sought and not places.is_elsewhere("1")


def test_a_type_that_nobody_knows_is_opened_to_say_so():
    _, places, _ = world()
    assert places.is_here("1", spec("nobody's"), True)


def test_an_adopted_partition_takes_nothing():
    assert not Nowhere().is_here("1", spec("listener"), True)


def test_what_would_get_everything_twice_runs_once():
    for each in (MqttSourceType, KafkaSourceType, KinesisSourceType, OpcuaType):
        assert IRunsOnce.implementedBy(each)
