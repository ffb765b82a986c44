"""Which records an integration gets."""

import pytest

from iotgw.core.model import Kind, TelemetryRecord
from iotgw.core.specs import RouteSpec
from iotgw.delivery.route import route

RECORD = TelemetryRecord(7, 7, "default", "ds1", 0, Kind.TELEMETRY, "dev", "", b'{"telemetry":[{}]}')


@pytest.mark.parametrize("wanted", ["ds1", "meters"])
def test_a_datasource_is_named_by_its_id_or_its_name(wanted):
    spec = RouteSpec(datasources=["ds2", wanted])
    assert route(spec, "default", {"ds1": "meters"}.get).match(RECORD)
    assert not route(spec, "acme", {"ds1": "meters"}.get).match(RECORD)


def test_another_one_is_not_meant():
    assert not route(RouteSpec(datasources=["meters", "ds2"]), "default", {"ds1": "tanks"}.get).match(RECORD)


def test_a_name_that_is_given_later_counts_from_then_on_and_what_waits_then_is_kept():
    names = {}
    matches = route(RouteSpec(datasources=["meters"]), "default", lambda id: names.get(id, id))
    assert not matches.match(RECORD)
    names["ds1"] = "meters"
    assert matches.match(RECORD)
    names["ds1"] = "tanks"
    assert matches.match(RECORD)
    assert matches.leads_from("default", "ds1")


def test_it_leads_from_the_datasources_that_are_meant_of_its_own_tenant():
    some = route(RouteSpec(datasources=["meters"]), "default", {"ds1": "meters", "ds2": "tanks"}.get)
    assert some.leads_from("default", "ds1")
    assert not some.leads_from("default", "ds2")
    assert not some.leads_from("acme", "ds1")


def test_it_leads_from_every_datasource_if_none_is_named():
    some = route(RouteSpec(device_names=["none"]), "default", lambda id: id)
    assert some.leads_from("default", "ds7")
    assert not some.leads_from("acme", "ds7")


def test_it_may_end_at_a_position():
    some = route(RouteSpec(datasources=["ds1"]), "default", lambda id: id)
    assert some.until(7).match(RECORD)
    assert not some.until(6).match(RECORD)
    assert not some.until(6).leads_from("default", "ds2")
