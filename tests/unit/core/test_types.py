"""What a type's factory is given: the gateway's way out by the name of its parameter."""

from __future__ import annotations

from functools import partial

from twisted.internet.task import Clock

from iotgw.connect.endpoint import Connector
from iotgw.core.types import Types


class Plain:
    name = "plain"
    settings = None

    def __init__(self, reactor):
        self.reactor = reactor


class Forbidding(Plain):
    """As the documentation says that an integration's factory is."""

    name = "forbidding"

    def __init__(self, reactor, forbid=()):
        super().__init__(reactor)
        self.forbid = forbid


class Connecting(Plain):
    name = "connecting"

    def __init__(self, reactor, connector, more=1):
        super().__init__(reactor)
        self.connector = connector
        self.more = more


class Both(Forbidding):
    name = "both"

    def __init__(self, reactor, forbid=(), connector=None):
        super().__init__(reactor, forbid)
        self.connector = connector


def test_each_factory_gets_what_it_has_a_parameter_for():
    clock = Clock()
    connector = Connector(clock, ["loopback"])
    types = Types("iotgw.none", clock, [Plain, Forbidding, partial(Connecting, more=2), Both], connector)
    assert {type_.name for type_ in types} == {"plain", "forbidding", "connecting", "both"}
    assert all(type_.reactor is clock for type_ in types)
    assert types.get("forbidding").forbid == connector.forbid
    assert {"127.0.0.0/8", "169.254.0.0/16"} <= set(connector.forbid)
    assert (types.get("connecting").connector, types.get("connecting").more) == (connector, 2)
    assert types.get("both").connector is connector


def test_a_third_party_s_types_are_given_the_same(monkeypatch):
    class Point:
        def load(self):
            return Forbidding

    monkeypatch.setattr("iotgw.core.types.entry_points", lambda group: [Point()])
    types = Types("iotgw.integrations", Clock(), [], Connector(Clock(), ["10.0.0.0/8"]))
    assert "10.0.0.0/8" in types.get("forbidding").forbid
