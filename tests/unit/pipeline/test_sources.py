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


def test_what_a_datasource_counts_since_the_start_grows_whatever_is_converted_again() -> None:
    source = Source("ds1", "default", DatasourceSpec(name="meters", type="coap"))
    source.begin({"received": 100, "converted": 90, "failed": 8, "filtered": 2})
    assert not any(source.meter.counts.values())
    source.counts["received"] += 2
    source.counts["failed"] += 2
    source.recount(State.FAILED, State.CONVERTED)
    assert source.counts["failed"] == 9
    assert source.meter.counts == {"received": 2, "converted": 1, "failed": 2, "filtered": 0, "refused": 0}
    source.recount(State.RECEIVED, State.FILTERED)
    source.recount(State.CONVERTED, State.FAILED)
    assert source.meter.counts == {"received": 2, "converted": 1, "failed": 3, "filtered": 1, "refused": 0}
    assert Sources({"ds1": source}).meters()["ds1"] == source.meter
