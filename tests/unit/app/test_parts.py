"""The parts are made without opening anything, and the services open them in the order of their need."""

import pytest
from twisted.internet import reactor
from twisted.web.resource import Resource
from zope.interface.verify import verifyObject

from iotgw.app.parts import DATASOURCES, build
from iotgw.app.services import children
from iotgw.config.settings import Settings
from iotgw.connect.endpoint import Connector
from iotgw.core.errors import SettingsError
from iotgw.core.ports.datasources import IDatasourceType, INeeds
from iotgw.core.types import made
from iotgw.datasources.coap.ports import CoapPorts
from iotgw.datasources.http.mounts import HttpMounts


def test_building_opens_nothing(tmp_path):
    readers, calls = set(reactor.getReaders()), set(reactor.getDelayedCalls())
    build(Settings(), tmp_path, reactor)
    assert list(tmp_path.iterdir()) == []
    assert (set(reactor.getReaders()), set(reactor.getDelayedCalls())) == (readers, calls)


def test_two_gateways_of_one_process_have_nothing_in_common(tmp_path):
    one, other = (build(Settings(), tmp_path, reactor) for _ in range(2))
    assert one.mounts is not other.mounts
    assert one.pipeline is not other.pipeline


def test_what_is_written_starts_before_what_writes_it_and_the_way_in_comes_last(tmp_path):
    gateway = build(Settings(), tmp_path, reactor)
    names = [child.name for child in children(gateway, Settings(), tmp_path, None, reactor)]
    assert names == [
        "lost-logs", "registry", "secrets", "credentials", "events", "lost-logs-told", "files", "devices", "journal", "device-states", "downlinks", "backups", "pause", "converters", "delivery",
        "integrations", "pipeline", "first-contents",
    ]  # fmt: skip


def test_every_datasource_can_share_the_ports_and_the_listener(tmp_path):
    gateway = build(Settings(), tmp_path, reactor)
    assert isinstance(gateway.shares.get(CoapPorts), CoapPorts)
    assert gateway.shares.get(HttpMounts) is gateway.mounts


@pytest.mark.parametrize("first", ["api", "health", "metrics"])
def test_the_api_s_own_paths_are_reserved(tmp_path, first):
    gateway = build(Settings(), tmp_path, reactor)
    with pytest.raises(SettingsError):
        gateway.mounts.add((first, "mine"), Resource())


@pytest.mark.parametrize("factory", DATASOURCES, ids=lambda factory: factory.name)
def test_every_built_in_datasource_is_what_its_interface_says(factory):
    type_ = made(factory, reactor, Connector(reactor))
    assert verifyObject(INeeds if INeeds.providedBy(type_) else IDatasourceType, type_)
