"""`/fleet/map`: where devices stand, gathered so that a map of a hundred thousand has few points."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from typing import Annotated

from msgspec import Meta, Struct, structs
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from iotgw.api.auth import Permission
from iotgw.api.devices import FILTERS, wanted
from iotgw.api.queries import Query
from iotgw.api.routes import Call, Route
from iotgw.core.device_entry import DeviceSpec
from iotgw.core.ports.devices import TROUBLES, DeviceFilter, IFleet
from iotgw.core.ports.registry import IRegistry
from iotgw.core.rectangle import WORLD

MOST = 1_000_000
"""Devices with a trouble that are told apart."""
PIECE = 1_000
"""Devices between two breaths."""
QUERY = (
    *FILTERS,
    Query(
        "across",
        int,
        16,
        "into how many columns, and as many rows, the rectangle is parted at least",
        range=(1, 64),
    ),
)
_GRAIN = 1e7


class MapPlace(Struct, frozen=True):
    """Devices that are near to one another."""

    latitude: Annotated[float, Meta(description="Degrees of their middle, WGS 84.")]
    longitude: Annotated[float, Meta(description="Degrees of their middle.")]
    count: Annotated[int, Meta(description="How many devices there are.")]
    troubled: Annotated[int, Meta(description="How many of them are in trouble.")]
    name: Annotated[str, Meta(description="The device's name, where it is one; else empty.")]
    label: Annotated[str, Meta(description="What people call that one device.")]
    box: Annotated[str, Meta(description="The rectangle in which they are, as the filter `box` takes it.")]


class FleetMap(Struct, frozen=True):
    """Where devices stand that the filters leave."""

    count: Annotated[int, Meta(description="How many devices have a place.")]
    items: Annotated[list[MapPlace], Meta(description="Where they are, gathered.")]


class _Cell:
    """What falls into a cell; longitudes grow on behind the date line."""

    def __init__(self, spec: DeviceSpec, latitude: float, east: float) -> None:
        self.spec = spec
        self.latitude = self.longitude = 0.0
        self.sides = [latitude, east, latitude, east]
        self.count = self.troubled = 0

    def add(self, latitude: float, east: float, is_troubled: bool) -> None:
        """One device more."""
        self.count += 1
        self.troubled += is_troubled
        self.latitude += latitude
        self.longitude += east
        south, west, north, far = self.sides
        self.sides = [min(south, latitude), min(west, east), max(north, latitude), max(far, east)]

    def place(self) -> MapPlace:
        """Where its devices are in the middle."""
        latitude, longitude = self.latitude / self.count, _turned(self.longitude / self.count)
        south, west, north, east = self.sides
        sides = _down(south), _turned(_down(west)), _up(north), _turned(_up(east))
        said = (self.spec.name, self.spec.label) if self.count == 1 else ("", "")
        box = ",".join(f"{each:.7f}" for each in sides)
        return MapPlace(round(latitude, 7), round(longitude, 7), self.count, self.troubled, *said, box)


def _down(degrees: float) -> float:
    return math.floor(degrees * _GRAIN) / _GRAIN


def _up(degrees: float) -> float:
    return math.ceil(degrees * _GRAIN) / _GRAIN


def _turned(degrees: float) -> float:
    return degrees - 360 if degrees > 180 else degrees


def _step(whole: float, part: float) -> float:
    """The sides of a grid's cells: a half of the whole, a quarter and so on, not greater than this part, so that cells stay where they are
    as long as one looks from about as far away."""
    return math.ldexp(whole, -math.ceil(math.log2(whole / max(part, 1e-9))))


class FleetMapRoutes:
    """The route of the map."""

    def __init__(self, fleet: IFleet, registry: IRegistry, clock: IReactorTime) -> None:
        self._fleet = fleet
        self._registry = registry
        self._clock = clock

    def routes(self) -> list[Route]:
        """Read it."""
        return [
            Route(
                "GET", "/fleet/map", Permission.READ, self.show,
                "Where devices stand, gathered by the cells of a grid", answer=FleetMap, query=QUERY,
            )
        ]  # fmt: skip

    async def show(self, call: Call) -> FleetMap:
        """A cell is a part of ``box``, or of the world."""
        asked = wanted(call, self._registry)
        box = asked.box or WORLD
        across = call.query("across")
        high, wide = _step(180, box.height / across), _step(360, box.width / across)
        cells: dict[tuple[int, int], _Cell] = {}
        troubled = self._troubled(call.tenant)
        async for spec in self._specs(call.tenant, structs.replace(asked, box=None)):
            latitude, east = spec.latitude, spec.longitude
            if latitude is None or east is None or not box.holds(latitude, east):
                continue
            if east < box.west:
                east += 360  # across the date line
            key = math.floor(latitude / high), math.floor(east / wide)
            cell = cells.get(key)
            if cell is None:
                cell = cells[key] = _Cell(spec, latitude, east)
            cell.add(latitude, east, spec.name in troubled)
        items = [cell.place() for _, cell in sorted(cells.items())]
        return FleetMap(sum(each.count for each in items), items)

    async def _specs(self, tenant: str, asked: DeviceFilter) -> AsyncIterator[DeviceSpec]:
        """What is said of each device, some at a time, so that others have their turn."""
        after = ""
        while names := self._fleet.names(tenant, asked, after, PIECE):
            for name in names:
                entry = self._fleet.get(tenant, name)
                if entry is not None:
                    yield entry.spec
            if len(names) < PIECE:
                break
            after = names[-1]
            await deferLater(self._clock, 0)

    def _troubled(self, tenant: str) -> set[str]:
        found = set[str]()
        if any(self._fleet.in_trouble(tenant).values()):
            for what in TROUBLES:
                found.update(self._fleet.names(tenant, DeviceFilter(trouble=what), "", MOST))
        return found
