"""How much of what fails goes into one answer."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from iotgw.core.message_query import MessageQuery
from iotgw.core.model import DeliveryState
from iotgw.store.sqlite import failing
from iotgw.testing.contracts.journal_world import parked
from tests.unit.store.sqlite.world import World


@pytest.mark.parametrize("error", [lambda number: f"value {number} is wrong", lambda number: "all alike"])
def test_the_newest_errors_that_differ_are_told_and_all_that_are_alike(
    world: World, error: Callable[[int], str]
) -> None:
    count = failing.TEXTS + 200
    records = world.convert(*world.store(*[b"x"] * count))
    rows = [parked(each, DeliveryState.DEAD, error=error(number)) for number, each in enumerate(records)]
    world.progress("int1", count, rows)
    world.wait(world.journal.committed())
    (group,) = world.wait(world.journal.dead_deliveries(MessageQuery(tenant="default"), ("int1",)))
    assert group.count == (failing.TEXTS if error(1) != error(2) else count)
    assert group.sample == records[-1].uplink
