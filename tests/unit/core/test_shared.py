"""What datasources share is found by its class."""

import pytest

from iotgw.core.errors import SettingsError
from iotgw.core.ports.datasources import DatasourceContext
from iotgw.core.shared import SharedResource, SharedResources


class Bus(SharedResource):
    pass


class Lamp(SharedResource):
    pass


def context(*resources):
    return DatasourceContext("id", "name", "t", "", {}, None, None, None, shares=SharedResources(*resources))


def test_a_context_gives_the_one_that_its_gateway_has():
    bus = Bus()
    assert context(bus, Lamp()).shared(Bus) is bus


@pytest.mark.parametrize(("there", "said"), [((Lamp(),), "this one shares Lamp"), ((), "shares nothing")])
def test_one_that_is_not_there_is_asked_for_in_vain_by_name(there, said):
    with pytest.raises(SettingsError, match=f"shares Bus; .*{said}"):
        context(*there).shared(Bus)


def test_two_gateways_share_nothing():
    assert context(Bus()).shared(Bus) is not context(Bus()).shared(Bus)
