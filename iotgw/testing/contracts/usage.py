"""What any store of usage does."""

from __future__ import annotations

from typing import Any

from iotgw.core.ports.usage import Amounts, DeviceTally, IUsageStore, Metered, Tally, UsageQuery
from iotgw.core.times import DateMs
from iotgw.testing.contracts.base import Contract

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
BEGUN = 20_000 * DAY_MS
"""A day's beginning."""


def tally(
    id: str, kind: Metered = "datasource", tenant: str = "default", name: str = "", **amounts: Any
) -> Tally:
    """What a thing counted."""
    return Tally((kind, tenant, id), name or id.upper(), Amounts(**amounts))


class UsageStoreContract(Contract[IUsageStore]):
    """For `IUsageStore`."""

    def add(self, at_ms: int, *things: Tally, devices: list[DeviceTally] | None = None) -> None:
        """So much was used."""
        self.wait(self.part.add(DateMs(at_ms), list(things), devices or []))

    def rows(self, per: Any, every: Any = "all", tenant: str | None = "default", **more: Any) -> list[Any]:
        """What is said of it: when (in hours since the beginning, where not all is one), what, and how much."""
        rows = self.wait(self.part.rows(UsageQuery(tenant, per, every, **more)))
        return [((row.at - BEGUN) // HOUR_MS if row.at else None, row.name, row.amounts) for row in rows]

    def test_what_is_used_adds_up_by_hour_by_day_and_over_restarts(self) -> None:
        self.add(BEGUN, tally("a", messages=1, bytes=10), tally("b", messages=1))
        self.add(BEGUN + HOUR_MS - 1, tally("a", messages=2, bytes=20, errors=1))
        self.reopen()
        self.add(BEGUN + HOUR_MS, tally("a", messages=4, bytes=40, refused=3))
        self.add(BEGUN + DAY_MS, tally("a", messages=8))
        assert self.rows("datasource", "hour", name="a") == [
            (0, "A", Amounts(3, 30, 1)),
            (1, "A", Amounts(4, 40, 0, 3)),
            (24, "A", Amounts(8)),
        ]
        assert self.rows("datasource", "day") == [
            (0, "A", Amounts(7, 70, 1, 3)),
            (0, "B", Amounts(1)),
            (24, "A", Amounts(8)),
        ]
        assert self.rows("datasource") == [(None, "A", Amounts(15, 70, 1, 3)), (None, "B", Amounts(1))]

    def test_a_time_that_is_asked_for_takes_whole_hours_and_days(self) -> None:
        for hour in (0, 1, 2, 24):
            self.add(BEGUN + hour * HOUR_MS, tally("a", messages=1))
        some: dict[str, Any] = {"since": BEGUN + HOUR_MS + 5, "until": BEGUN + 2 * HOUR_MS + 1}
        assert [hour for hour, *_ in self.rows("datasource", "hour", **some)] == [1, 2]
        assert [hour for hour, *_ in self.rows("datasource", "hour", until=BEGUN + 2 * HOUR_MS)] == [0, 1]
        assert [hour for hour, *_ in self.rows("datasource", "day", since=BEGUN + 5 * HOUR_MS)] == [0, 24]

    def test_kinds_and_tenants_are_told_apart(self) -> None:
        self.add(
            BEGUN,
            tally("x", messages=1),
            tally("x", "converter", messages=2, errors=1, cpu=0.5),
            tally("x", "integration", deliveries=3, errors=4, bytes=30),
            tally("x", tenant="north", messages=9),
        )
        assert self.rows("datasource") == [(None, "X", Amounts(1))]
        assert self.rows("converter") == [(None, "X", Amounts(2, errors=1, cpu=0.5))]
        assert self.rows("integration") == [(None, "X", Amounts(bytes=30, errors=4, deliveries=3))]
        assert self.rows("datasource", tenant="north") == [(None, "X", Amounts(9))]

    def test_a_tenant_s_messages_count_once(self) -> None:
        self.add(
            BEGUN,
            tally("d", messages=5, bytes=50, errors=1, refused=2),
            tally("c", "converter", messages=5, errors=1, cpu=0.5),
            tally("i", "integration", deliveries=4, errors=1, bytes=999),
            tally("d", tenant="north", messages=1),
        )
        mine = (None, "default", Amounts(5, 50, 2, 2, 4, 0.5))
        assert self.rows("tenant") == [mine]
        assert self.rows("tenant", tenant=None) == [mine, (None, "north", Amounts(1))]

    def test_devices_are_counted_by_day(self) -> None:
        def device(name: str, tenant: str = "default") -> DeviceTally:
            return DeviceTally(tenant, name, 1, 10)

        self.add(BEGUN, devices=[device("a"), device("b"), device("a", "north")])
        self.add(BEGUN + 5 * HOUR_MS, devices=[device("a")])
        self.add(BEGUN + DAY_MS, devices=[device("a"), device("")])
        assert self.rows("device", "day") == [
            (0, "a", Amounts(2, 20)),
            (0, "b", Amounts(1, 10)),
            (24, "", Amounts(1, 10)),
            (24, "a", Amounts(1, 10)),
        ]
        assert self.rows("device", name="a") == [(None, "a", Amounts(3, 30))]

    def test_a_device_s_failed_conversions_are_counted_by_day(self) -> None:
        self.add(BEGUN, devices=[DeviceTally("default", "a", 1, 10, 2), DeviceTally("default", "b", 0, 0, 1)])
        self.add(BEGUN, devices=[DeviceTally("default", "a", 0, 0, 1)])
        self.add(BEGUN + DAY_MS, devices=[DeviceTally("default", "a", 1, 10)])
        assert self.rows("device", "day", until=BEGUN + DAY_MS) == [
            (0, "a", Amounts(1, 10, 3)),
            (0, "b", Amounts(0, 0, 1)),
        ]
        assert self.rows("device", name="a") == [(None, "a", Amounts(2, 20, 3))]

    def test_devices_come_in_pages_over_days(self) -> None:
        for day in range(3):
            names = ("a", "b", "c") if day != 1 else ("b",)
            self.add(BEGUN + day * DAY_MS, devices=[DeviceTally("default", name, 1, 1) for name in names])
        all_ = self.rows("device", "day")
        assert [(hour // 24, name) for hour, name, _ in all_] == [
            (0, "a"), (0, "b"), (0, "c"), (1, "b"), (2, "a"), (2, "b"), (2, "c"),
        ]  # fmt: skip
        for limit in (1, 2, 3, 4):
            pages = [self.rows("device", "day", offset=offset, limit=limit) for offset in range(0, 8, limit)]
            assert [row for page in pages for row in page] == all_
        pages = [self.rows("device", offset=offset, limit=2) for offset in (0, 2, 4)]
        assert [name for page in pages for _, name, _ in page] == ["a", "b", "c"]

    def test_a_thing_has_its_latest_name(self) -> None:
        self.add(BEGUN, tally("a", name="meters", messages=1))
        self.add(BEGUN, tally("a", name="old meters", messages=1))
        assert self.rows("datasource") == [(None, "old meters", Amounts(2))]
        assert self.rows("datasource", name="a") == self.rows("datasource", name="old meters")
        assert self.rows("datasource", name="meters") == []

    def test_what_a_tenant_used_is_forgotten_and_that_of_others_is_not(self) -> None:
        devices = [DeviceTally("north", "a", 1, 10), DeviceTally("default", "a", 1, 10)]
        self.add(BEGUN, tally("a", messages=1), tally("b", tenant="north", messages=2), devices=devices)
        assert self.wait(self.part.forget_tenant("north")) > 0
        assert self.wait(self.part.forget_tenant("north")) == 0
        assert self.rows("tenant", tenant=None) == [(None, "default", Amounts(1))]
        assert self.rows("device", tenant=None) == [(None, "a", Amounts(1, 10))]

    def test_rows_come_in_pages(self) -> None:
        self.add(BEGUN, *(tally(f"d{number}", messages=1) for number in range(5)))
        pages = [self.rows("datasource", offset=offset, limit=2) for offset in (0, 2, 4)]
        assert [name for page in pages for _, name, _ in page] == ["D0", "D1", "D2", "D3", "D4"]
