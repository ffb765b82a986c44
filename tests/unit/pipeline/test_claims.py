"""A datasource is told who has what it needs."""

import pytest

from iotgw.core.errors import Conflict
from iotgw.core.needs import CoapPath, HttpMount, UdpPort
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


def coap(path, port=5683, protocol="coap", interface="0.0.0.0"):
    return CoapPath(interface, port, protocol, tuple(part for part in path.split("/") if part))


def test_a_coap_path_that_is_taken_is_refused_with_both_names(claims):
    claims.take(source("north"), [coap("m")])
    with pytest.raises(Conflict) as refused:
        claims.take(source("south"), [coap("c"), coap("m")])
    assert str(refused.value) == (
        "'south' needs /m on UDP port 5683 on 0.0.0.0; 'north' has /m on UDP port 5683 on 0.0.0.0"
    )
    with pytest.raises(Conflict, match="'north' has requests without a path"):
        claims.take(source("north"), [coap("")])
        claims.take(source("south"), [coap("**")])


@pytest.mark.parametrize(
    ("had", "wanted"),
    [
        ("m", "m/**"),  # both have /m itself
        ("m/**", "m/**"),
        ("api/*/up", "api/*/up"),
        ("api/*/up", "api/v1/*"),  # /api/v1/up would be either's
        ("api/**", "api/*/up"),
        ("api/v1/**", "api/*/up"),
        ("", "**"),
    ],
)
def test_paths_that_one_request_may_mean_alike_are_refused_in_either_order(had, wanted):
    for one, other in ((had, wanted), (wanted, had)):
        claims = Claims()
        claims.take(source("north"), [coap(one)])
        with pytest.raises(Conflict):
            claims.take(source("south"), [coap(other)])


@pytest.mark.parametrize(
    ("had", "wanted"),
    [
        ("m", "c"),
        ("m", "m/x"),
        ("m/**", "m/x"),  # the more exact one has it
        ("m/**", "m/x/**"),
        ("api/*/up", "api/v1/up"),
        ("api/*/*", "api/*/up"),
        ("api/*/up", "api/*/down"),
        ("api/*/up", "api/*/up/x"),
        ("api/*/up", "**"),
        ("i/one/**", "i/two/**"),
        ("i/one/**", "**"),
        ("i", "i/one/**"),
    ],
)
def test_paths_that_can_be_told_apart_are_both_had(had, wanted):
    for one, other in ((had, wanted), (wanted, had)):
        claims = Claims()
        claims.take(source("north"), [coap(one)])
        claims.take(source("south"), [coap(other)])


def test_a_path_is_had_on_one_port_only(claims):
    claims.take(source("north"), [coap("m")])
    claims.take(source("south"), [coap("m", 5684, "coaps"), coap("m", interface="::"), coap("m", 5685)])
    claims.release(source("south"))
    claims.take(source("east"), [coap("m", 0), coap("m", 0)])
    claims.take(source("west"), [coap("m", 0)])


def test_a_released_path_or_pattern_can_be_had(claims):
    north, south = source("north"), source("south")
    for path in ("m", "a/*/b", "a/**", "**"):
        claims.take(north, [coap(path)])
        claims.release(north)
        claims.take(south, [coap(path)])
        claims.release(south)
    assert not claims._claimed
