"""Which records an integration gets."""

import pytest

from iotgw.core.model import Kind, TelemetryRecord
from iotgw.core.specs import RouteSpec
from iotgw.delivery.route import route

RECORD = TelemetryRecord(7, 7, "default", "ds1", 0, Kind.TELEMETRY, "dev", "", b'{"telemetry":[{}]}')


@pytest.mark.parametrize("wanted", ["ds1", "meters"])
def test_a_datasource_is_named_by_its_id_or_its_name(wanted):
    spec = RouteSpec(datasources=["ds2", wanted])
    assert route(spec, "default", {"ds1": "meters"}.get)(RECORD)
    assert not route(spec, "acme", {"ds1": "meters"}.get)(RECORD)


def test_another_one_is_not_meant():
    assert not route(RouteSpec(datasources=["meters", "ds2"]), "default", {"ds1": "tanks"}.get)(RECORD)


def test_a_name_that_is_given_or_changed_later_counts_from_then_on():
    names = {}
    matches = route(RouteSpec(datasources=["meters"]), "default", lambda id: names.get(id, id))
    assert not matches(RECORD)
    names["ds1"] = "meters"
    assert matches(RECORD)
    names["ds1"] = "tanks"
    assert not matches(RECORD)
