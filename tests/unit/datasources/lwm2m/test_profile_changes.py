"""What is observed, and under which conditions, when profiles change and the process starts anew."""

from __future__ import annotations

import pytest
from pytest_twisted import ensureDeferred

from iotgw.core.errors import SettingsError
from iotgw.core.validate import convert
from iotgw.datasources.lwm2m.settings import Lwm2mSettings
from iotgw.wire.coap import numbers as n
from tests.unit.datasources.lwm2m.field import observing

T = "/3303/0/5700"


def temperature(value):
    return [{"n": T, "v": value}]


@ensureDeferred
async def test_conditions_that_were_changed_are_written_to_who_is_registered(field):
    """As with ThingsBoard's profiles; those that were not changed aren't written again."""
    source = await field.start(**observing(T, attributeLwm2m={T: {"pmin": 5}}))
    port = source._shares[0].port.address[1]
    device = field.device()
    await device.register()
    device.answer(await device.asked(), n.CHANGED)
    device.values(await device.asked(), temperature(20), observe=1)
    await device.update()
    for pmin, is_written in ((5, False), (9, True), (9, False)):
        await source.stop()
        source = await field.start(port=port, **observing(T, attributeLwm2m={T: {"pmin": pmin}}))
        copies = set()
        if is_written:
            request = await device.asked()
            copies.add(request.mid)
            assert (request.code, request.options.queries) == (n.PUT, ("pmin=9",))
            device.answer(request, n.CHANGED)
        await device.update()
        assert {message.mid for message in device.wire.inbox} <= copies


@pytest.mark.parametrize("asked", [["/"], ["/", T]])
@ensureDeferred
async def test_all_that_a_device_has_may_be_observed_and_is_after_a_restart(field, asked):
    source = await field.start()
    port = source._shares[0].port.address[1]
    device = field.device()
    await device.register()
    field.push("observe-composite", {"paths": asked})
    request = await device.asked()
    assert request.code == n.FETCH
    device.values(request, temperature(20), observe=1)
    await device.update()
    await source.stop()
    await field.start(port=port)
    await device.acknowledged(device.notify(request, 2, temperature(21.5)))
    assert field.bodies[-1]["values"] == {T: 21.5}


@pytest.mark.parametrize("wrong", [{"observe": ["/"]}, {"attributeLwm2m": {"/": {"pmin": 1}}}])
def test_a_profile_that_is_about_the_root_is_refused(wrong):
    with pytest.raises(SettingsError, match=r"expected (paths|the path)"):
        convert({"profiles": [{"observeAttr": wrong}]}, Lwm2mSettings)
