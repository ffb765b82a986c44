"""`IUsageStore` and `IUsage` in a list."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from iotgw.core.ports.usage import (
    Amounts,
    DeviceTally,
    IUsage,
    IUsageStore,
    Tally,
    UsageQuery,
    UsageRow,
)
from iotgw.core.times import DateMs

UNITS = {"hour": 3_600_000, "day": 86_400_000, "all": 0}


@implementer(IUsageStore, IUsage)
class MemoryUsage:
    """What was added, for ever. While ``problem`` is set, nothing can be added."""

    put_aside = ""

    def __init__(self) -> None:
        self.things: list[tuple[int, Tally]] = []
        self.devices: list[tuple[int, DeviceTally]] = []
        self.problem: Exception | None = None

    def start(self) -> Deferred[None]:
        """See `IUsageStore.start`."""
        return succeed(None)

    def stop(self) -> Deferred[None]:
        """See `IUsageStore.stop`."""
        return succeed(None)

    def add(
        self, at_ms: DateMs, things: list[Tally], devices: list[DeviceTally], forgets: bool = True
    ) -> Deferred[None]:
        """See `IUsageStore.add`."""
        if self.problem is not None:
            return fail(self.problem)
        self.things += [(at_ms, each) for each in things]
        self.devices += [(at_ms, each) for each in devices]
        return succeed(None)

    def forget_tenant(self, tenant: str) -> Deferred[int]:
        """See `IForgetsTenants.forget_tenant`."""
        before = len(self.things) + len(self.devices)
        self.things = [(at, each) for at, each in self.things if each.thing[1] != tenant]
        self.devices = [(at, each) for at, each in self.devices if each.tenant != tenant]
        return succeed(before - len(self.things) - len(self.devices))

    def rows(self, query: UsageQuery) -> Deferred[list[UsageRow]]:
        """See `IUsageStore.rows`."""
        sums: dict[tuple[int, str, str, str], Amounts] = {}
        unit = UNITS[query.every]
        for at, tenant, id, name, amounts in self._counted(query):
            period = unit or UNITS["day"]
            begun = at // period * period
            if query.since >= begun + period or (query.until and begun >= query.until):
                continue
            if query.tenant in (None, tenant) and query.name in ("", id, name):
                key = begun if unit else 0, tenant, name, id
                sums[key] = sums.get(key, Amounts()).plus(amounts)
        found = [
            UsageRow(at, tenant, id, name, sums[at, tenant, name, id])
            for at, tenant, name, id in sorted(sums)
        ]
        return succeed(found[query.offset :][: query.limit])

    def _counted(self, query: UsageQuery) -> list[tuple[int, str, str, str, Amounts]]:
        if query.per == "device":
            return [
                (at, each.tenant, "", each.device, Amounts(each.messages, each.bytes, each.errors))
                for at, each in self.devices
            ]
        found: list[tuple[int, str, str, str, Amounts]] = []
        names = {each.thing: each.name for _, each in self.things}
        for at, each in self.things:
            kind, tenant, id = each.thing
            if query.per == "tenant":
                found.append((at, tenant, "", tenant, _of_tenant(kind, each.amounts)))
            elif query.per == kind:
                found.append((at, tenant, id, names[each.thing], each.amounts))
        return found


def _of_tenant(kind: str, amounts: Amounts) -> Amounts:
    """What a converter was given, and a target got, is what a datasource got: it counts once."""
    fields: dict[str, Any] = {name: getattr(amounts, name) for name in amounts.__struct_fields__}
    if kind == "integration":
        return Amounts(**fields | {"bytes": 0})
    return Amounts(**fields | {"messages": 0, "bytes": 0, "errors": 0}) if kind == "converter" else amounts
