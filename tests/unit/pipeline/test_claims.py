"""A datasource is told who has what it needs."""

import pytest

from iotgw.core.errors import Conflict
from iotgw.core.needs import HttpMount, UdpPort
from iotgw.core.specs import DatasourceSpec
from iotgw.pipeline.claims import Claims
from iotgw.pipeline.sources import Source

PORT = UdpPort("127.0.0.1", 5683)


def source(name, tenant="t"):
    return Source(f"id-{name}", tenant, DatasourceSpec(name=name, type="x"))


@pytest.fixture
def claims():
    return Claims()


def test_the_second_one_is_refused_with_both_names(claims):
    claims.take(source("north"), [PORT])
    with pytest.raises(Conflict) as refused:
        claims.take(source("south"), [UdpPort("0.0.0.0", 5683)])
    assert str(refused.value) == (
        "'south' needs UDP port 5683 on 0.0.0.0; 'north' has UDP port 5683 on 127.0.0.1"
    )


def test_one_that_is_refused_has_nothing(claims):
    claims.take(source("north"), [PORT])
    with pytest.raises(Conflict):
        claims.take(source("south"), [UdpPort("127.0.0.1", 1), PORT])
    claims.take(source("east"), [UdpPort("127.0.0.1", 1)])


def test_another_tenant_s_name_is_not_told(claims):
    claims.take(source("north", "theirs"), [PORT])
    with pytest.raises(Conflict, match="a datasource of another tenant has"):
        claims.take(source("south"), [PORT])


def test_what_is_released_can_be_had(claims):
    north, south = source("north"), source("south")
    claims.take(north, [PORT])
    claims.release(north)
    claims.release(north)
    claims.take(south, [PORT])


def test_sharers_leave_one_by_one(claims):
    shared = UdpPort("127.0.0.1", 5683, "coap")
    north, south = source("north"), source("south")
    claims.take(north, [shared])
    claims.take(south, [shared])
    claims.release(north)
    with pytest.raises(Conflict, match="'south' has"):
        claims.take(north, [PORT])


def test_its_own_needs_are_no_conflict(claims):
    north = source("north")
    claims.take(north, [PORT, PORT])
    claims.take(north, [PORT])


@pytest.mark.parametrize(
    ("had", "wanted"), [(("a",), ("a", "b", "c")), (("a", "b", "c"), ("a",)), (("a", "b"), ("a", "b", "c"))]
)
def test_a_path_is_found_above_and_below(claims, had, wanted):
    claims.take(source("north"), [HttpMount(had)])
    with pytest.raises(Conflict):
        claims.take(source("south"), [HttpMount(wanted)])
    claims.take(source("south"), [HttpMount(("z", *wanted))])
