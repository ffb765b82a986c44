"""How long uplinks take until they are durable."""

from __future__ import annotations

from twisted.internet.task import Clock

from iotgw.core.clock import PlainCalendar
from iotgw.core.model import StoredUplink, Uplink
from iotgw.core.times import DateMs
from iotgw.pipeline import latency
from iotgw.pipeline.latency import Latency


def entries(
    received_ms: list[int], first: int = 1, tenant: str = "default"
) -> list[tuple[StoredUplink, None]]:
    return [
        (StoredUplink(seq, Uplink(tenant, "ds1", DateMs(ms), b"", b"{}")), None)
        for seq, ms in enumerate(received_ms, first)
    ]


def made(at: float, commits: int = 100) -> tuple[Latency, Clock]:
    clock = Clock()
    clock.advance(at)
    return Latency(clock, PlainCalendar(clock), commits), clock


def test_each_uplink_s_wait_is_counted_for_its_tenant() -> None:
    waits, _ = made(100.0)
    waits.stored("ds1", entries([99_998, 99_900, 90_000]))
    waits.stored("ds1", entries([99_999], 4, "acme"))
    own = waits.waits("default")
    assert own is not None
    assert (own.count, own.sum_ms) == (3, 2 + 100 + 10_000)
    other = waits.waits("acme")
    assert other is not None and other.count == 1
    assert waits.waits("nobody") is None


def test_it_is_known_when_an_uplink_was_durable_until_its_commit_is_forgotten() -> None:
    waits, clock = made(1.0, commits=4)
    for number in range(12):
        waits.stored("ds1", entries([0, 0], 2 * number + 1))
        clock.advance(1)
    assert [waits.durable_at(position) for position in (1, 8, 9, 10, 21, 22, 23, 24, 25)] == [
        None, None, 5000, 5000, 11_000, 11_000, 12_000, 12_000, None,
    ]  # fmt: skip


def test_datasources_that_share_a_commit_share_its_time() -> None:
    waits, _ = made(5.0)
    waits.stored("ds1", [*entries([0], 1), *entries([0], 4)])
    waits.stored("ds2", entries([0, 0], 2))
    assert [waits.durable_at(position) for position in (1, 2, 3, 4)] == [5000, 5000, 5000, 5000]


def test_many_tenants_are_counted_together() -> None:
    waits, _ = made(1.0)
    for number in range(latency.MOST_TENANTS + 5):
        waits.stored("ds1", entries([999], number + 1, f"t{number}"))
    rest = waits.waits("")
    assert rest is not None and rest.count == 5
