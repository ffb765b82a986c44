"""`/series`: how much there was of everything, step by step."""

from __future__ import annotations

from typing import Annotated, Literal, cast

from msgspec import Meta, Struct

from iotgw.api.auth import Permission
from iotgw.api.problems import Problem
from iotgw.api.queries import Query
from iotgw.api.routes import Call, Route
from iotgw.core.errors import SettingsError
from iotgw.core.numbers import MOST
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.journal import IMessages
from iotgw.core.ports.rates import STEPS, Counted, IRates
from iotgw.core.ports.registry import IRegistry
from iotgw.core.times import DateMs, SteadyMs

LONGEST = 1500
"""Steps of one answer."""
THINGS = 100
"""Datasources or integrations of one answer."""
USUAL = 60
DAY = 86_400
FLOW_STEPS = (10, 60, 600, 3600, DAY)
"""Steps of the whole gateway's figures, whose marks are ten seconds apart."""
RATES = (
    Query("kind", str, "gateway", "whose figures", choices=("gateway", "datasource", "integration")),
    Query("name", str, None, "only this datasource or integration, by id or name"),
    Query("step", int, 60, "seconds of a step: 1, 10, 60, 600, 3600, or 86400 of the gateway", range=(1, DAY)),
    Query("since", int, 0, "milliseconds since 1970; 0 for the last 60 steps", range=(0, MOST)),
    Query("until", int, 0, "milliseconds since 1970; 0 for now", range=(0, MOST)),
)  # fmt: skip


class RateItem(Struct, frozen=True):
    """The figures of one thing."""

    kind: Annotated[Literal["gateway", "datasource", "integration"], Meta(description="What it is.")]
    id: Annotated[str, Meta(description="Its id.")]
    name: Annotated[str, Meta(description="Its name.")]
    points: Annotated[
        dict[str, list[int | None]],
        Meta(description="By figure, one number for each step; null where it isn't known."),
    ]


class RatePage(Struct, frozen=True):
    """Figures by steps of time."""

    step: Annotated[int, Meta(description="Seconds from one figure to the next.")]
    since: Annotated[int, Meta(description="When the first step begins: milliseconds since 1970.")]
    items: Annotated[list[RateItem], Meta(description="The things and their figures.")]


class RateRoutes:
    """The route of figures over time."""

    def __init__(self, rates: IRates, journal: IMessages, registry: IRegistry, calendar: ICalendar) -> None:
        self._rates = rates
        self._journal = journal
        self._registry = registry
        self._calendar = calendar

    def routes(self) -> list[Route]:
        """One."""
        summary = "How much there was, step by step"
        return [Route("GET", "/series", Permission.READ, self.read, summary, answer=RatePage, query=RATES)]

    async def read(self, call: Call) -> RatePage:
        """Figures."""
        kind, step = call.query("kind"), call.query("step")
        steps = FLOW_STEPS if kind == "gateway" else STEPS
        if step not in steps:
            expected = ", ".join(map(str, steps))
            raise SettingsError("step", f"expected one of {expected} (seconds), got {step}")
        first, count = self._window(call, step)
        since = self._calendar.date_ms(SteadyMs(first * 1000))
        if kind == "gateway":
            return RatePage(step, since, [await self._flow(call, step, first, count)])
        name = call.query("name")
        listed = (
            [self._registry.get(kind, name, call.tenant)] if name else self._registry.list(kind, call.tenant)
        )
        items = [
            RateItem(
                kind, each.id, each.name, self._rates.points(cast(Counted, kind), each.id, step, first, count)
            )
            for each in listed[:THINGS]
        ]
        return RatePage(step, since, items)

    def _window(self, call: Call, step: int) -> tuple[int, int]:
        """The first second, in gateway time at a multiple of the step, and how many steps there are."""
        since, until = call.query("since"), call.query("until")
        if since and until and until <= since:
            raise SettingsError("until", f"expected a time after `since`, {since}, got {until}")
        end = self._second(until or self._calendar.now_ms())
        last = end if until else end + 1
        first = self._second(since) if since else max(0, last - USUAL * step)
        first -= first % step
        count = max(0, -((first - last) // step))
        if count > LONGEST:
            raise SettingsError(
                "step", f"expected at most {LONGEST} steps between `since` and `until`, got {count}"
            )
        return first, count

    def _second(self, date_ms: int) -> int:
        return self._calendar.moment_ms(DateMs(date_ms)) // 1000

    async def _flow(self, call: Call, step: int, first: int, count: int) -> RateItem:
        if call.query("name"):
            raise SettingsError("name", "expected no name for the gateway as a whole")
        if not call.sees_gateway:
            raise Problem(
                403, "the figures of the whole gateway are for tokens of the default tenant, or of all"
            )
        end = SteadyMs((first + count * step) * 1000)
        found = await self._journal.flow(SteadyMs(first * 1000), end, step * 1000)
        received: list[int | None] = [0] * count
        outputs: list[int | None] = [0] * count
        for each in found:
            at = (each.at_ms // 1000 - first) // step
            if 0 <= at < count:
                received[at], outputs[at] = each.received, each.outputs
        return RateItem("gateway", "", "", {"received": received, "outputs": outputs})
