"""What datasources have counted, for usage."""

from __future__ import annotations

from iotgw.core.model import State
from iotgw.core.ports.usage import Amounts
from iotgw.core.specs import DatasourceSpec
from iotgw.pipeline.sources import Source, Sources


def test_a_failure_that_was_mended_stays_one_in_the_usage() -> None:
    source = Source("ds1", "default", DatasourceSpec(name="meters", type="coap"))
    source.counts |= {"received": 9, "failed": 2, "converted": 7, "refused": 3}
    source.bytes = 90
    assert source.amounts == Amounts(9, 90, 2, 3)
    source.recount(State.FAILED, State.CONVERTED)
    assert (source.counts["failed"], source.amounts.errors) == (1, 2)
    source.recount(State.CONVERTED, State.FAILED)
    assert (source.counts["failed"], source.amounts.errors) == (2, 2)
    [tally] = Sources({"ds1": source}).tallies()
    assert (tally.thing, tally.name) == (("datasource", "default", "ds1"), "meters")
