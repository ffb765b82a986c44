"""The parts are made without opening anything, and the services open them in the order of their need."""

import ast
import inspect
from pathlib import Path

import pytest
from twisted.internet import reactor
from twisted.web.resource import Resource
from zope.interface.verify import verifyObject

from iotgw.app import parts
from iotgw.app.parts import DATASOURCES, build
from iotgw.app.services import children
from iotgw.config.settings import Settings
from iotgw.connect.endpoint import Connector
from iotgw.core.clock import GatewayClock
from iotgw.core.errors import SettingsError
from iotgw.core.ports.datasources import IDatasourceType, INeeds
from iotgw.core.types import made
from iotgw.datasources.coap.ports import CoapPorts
from iotgw.datasources.http.mounts import HttpMounts
from iotgw.store.privacy import FoundOpen

CLOCK = GatewayClock()


def test_building_opens_nothing(tmp_path):
    readers, calls = set(reactor.getReaders()), set(reactor.getDelayedCalls())
    build(Settings(), tmp_path, reactor, CLOCK.calendar)
    assert list(tmp_path.iterdir()) == []
    assert (set(reactor.getReaders()), set(reactor.getDelayedCalls())) == (readers, calls)


def test_two_gateways_of_one_process_have_nothing_in_common(tmp_path):
    one, other = (build(Settings(), tmp_path, reactor, CLOCK.calendar) for _ in range(2))
    assert one.mounts is not other.mounts
    assert one.pipeline is not other.pipeline


def test_what_is_written_starts_before_what_writes_it_and_the_way_in_comes_last(tmp_path):
    gateway = build(Settings(), tmp_path, reactor, CLOCK.calendar)
    names = [
        child.name
        for child in children(gateway, Settings(), tmp_path, None, reactor, CLOCK, FoundOpen({}, {}))
    ]
    assert names == [
        "lost-logs", "storage", "registry", "secrets", "credentials", "events", "credentials-told", "lost-logs-told", "privacy", "files", "devices", "new-devices", "journal", "clock", "speakers", "device-states", "fleet", "quarantine", "downlinks", "kept", "stored-files", "usage-store", "debug-store", "debug", "backups", "backup-plans", "pause", "converters", "confinement", "tidying", "delivery",
        "integrations", "last-usage", "pipeline", "usage", "rates", "releases", "jobs", "decisions", "first-contents",
    ]  # fmt: skip


def test_every_datasource_can_share_the_ports_and_the_listener(tmp_path):
    gateway = build(Settings(), tmp_path, reactor, CLOCK.calendar)
    assert isinstance(gateway.shares.get(CoapPorts), CoapPorts)
    assert gateway.shares.get(HttpMounts) is gateway.mounts


@pytest.mark.parametrize("path", [("api", "v1", "mine"), ("api",), ("health", "mine"), ("metrics", "mine")])
def test_the_api_s_own_paths_are_reserved(tmp_path, path):
    gateway = build(Settings(), tmp_path, reactor, CLOCK.calendar)
    with pytest.raises(SettingsError):
        gateway.mounts.add(path, Resource())


@pytest.mark.parametrize("factory", DATASOURCES, ids=lambda factory: factory.name)
def test_every_built_in_datasource_is_what_its_interface_says(factory):
    type_ = made(factory, reactor, Connector(reactor))
    assert verifyObject(INeeds if INeeds.providedBy(type_) else IDatasourceType, type_)


def test_each_part_that_asks_for_the_date_is_given_the_gateway_s_calendar():
    """One that isn't would take the reactor's time for the date."""
    tree = ast.parse(Path(parts.__file__).read_text())
    forgotten = [
        ast.unparse(call.func)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
        and _dates_wanted(getattr(parts, call.func.id, None))
        and not any("calendar" in ast.unparse(given) for given in (*call.args, *(each.value for each in call.keywords)))
    ]  # fmt: skip
    assert forgotten == []


def _dates_wanted(made):
    of_ours = inspect.isclass(made) and made.__init__ is not dict.__init__
    return {"calendar", "dates", "now_ms"} & set(
        inspect.signature(made.__init__).parameters if of_ours else ()
    )
