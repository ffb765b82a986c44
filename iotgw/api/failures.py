"""`/failures`: what fails, in groups: conversions, deliveries that were given up, and senders who were refused."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from iotgw.api.auth import Permission
from iotgw.api.described import Before, LookedBackTo
from iotgw.api.message_search import EVENTS, WINDOW, Searches, Window
from iotgw.api.message_views import EVENT
from iotgw.api.queries import Query
from iotgw.api.routes import Call, Route
from iotgw.api.stored import LONGEST_PLACE, PLACES, place
from iotgw.core.errors import NotFound
from iotgw.core.failures import FailureGroup, group_id, merged, pattern
from iotgw.core.message_query import MessageQuery
from iotgw.core.model import ConversionError, Event, State
from iotgw.core.numbers import whole
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.journal import IMessages
from iotgw.core.ports.pipeline import IPipeline
from iotgw.core.ports.registry import IRegistry
from iotgw.core.times import DateMs

KINDS = ("conversion", "delivery", "refusal")
FAILURES = (
    Query("kind", str, None, "only these", choices=KINDS),
    Query("datasource", str, None, "id or name"),
    Query("integration", str, None, "id or name; dead letters of this one alone"),
    Query("device", str, None, "a device's name; a failed message is of the device that its metadata names"),
    *WINDOW,
    Query(
        "before",
        str,
        None,
        "`next` of the page before; the groups go on with older failures",
        longest=LONGEST_PLACE,
        pattern=PLACES,
    ),
)


class Failures(Struct, frozen=True, rename="camel"):
    """Failures that have one reason."""

    id: Annotated[str, Meta(description="Names the group, in `group` of other requests.")]
    kind: Annotated[str, Meta(description="`conversion`, `delivery` (dead letters) or `refusal`.")]
    where: Annotated[
        str,
        Meta(
            description="The name of the converter, of the integration, or of the datasource or listener that refused."
        ),
    ]
    version: Annotated[int | None, Meta(description="The converter's version; null for other kinds.")]
    error: Annotated[ConversionError, Meta(description="The newest error of the group.")]
    pattern: Annotated[
        str, Meta(description="The error's message without what varies: numbers and what is quoted.")
    ]
    datasources: Annotated[list[str], Meta(description="Names of the datasources whose messages these are.")]
    count: Annotated[int, Meta(description="How many there are.")]
    first: Annotated[int, Meta(description="When the first of them was received: milliseconds since 1970.")]
    last: Annotated[int, Meta(description="When the last of them was received: milliseconds since 1970.")]
    sample: Annotated[str, Meta(description="The id of the newest message.")]


class FailurePage(Struct, frozen=True, rename="camel"):
    """Groups of what failed on a page of messages. Dead letters and refusals are on the first page alone."""

    items: Annotated[
        list[Failures],
        Meta(
            description="Groups, the latest first. Those of several pages that have one id belong together."
        ),
    ]
    next: Before
    looked_back_to: LookedBackTo = 0


class FailureRoutes:
    """The route of failures."""

    def __init__(
        self,
        registry: IRegistry,
        journal: IMessages,
        pipeline: IPipeline,
        calendar: ICalendar,
        searches: Searches,
    ) -> None:
        self._registry = registry
        self._journal = journal
        self._pipeline = pipeline
        self._calendar = calendar
        self._searches = searches

    def routes(self) -> list[Route]:
        """One."""
        summary = "What fails, in groups, the latest first"
        return [
            Route(
                "GET", "/failures", Permission.READ, self.index, summary, answer=FailurePage, query=FAILURES
            )
        ]

    async def index(self, call: Call) -> FailurePage:
        """A page of groups."""
        kind, before = call.query("kind"), await place(self._journal, call.query("before"))
        window = Window(call.query("since"), call.query("until"))
        window.check()
        since, until = window.of(self._calendar)
        query = MessageQuery(
            tenant=call.tenant, datasource=self._searches.id_of(call, "datasource", call.query("datasource")),
            state=State.FAILED, device=call.query("device"), or_named=True, since=since, until=until,
        )  # fmt: skip
        groups: list[FailureGroup] = []
        next, looked_back_to = 0, 0
        integration = call.query("integration")
        if integration is not None:
            kind = kind or "delivery"
        if kind in (None, "conversion"):
            found = await self._journal.failures(query, before)
            groups += found.groups
            next, looked_back_to = found.next, found.looked_back_to
        if not before and kind in (None, "delivery"):
            ids = tuple(
                each.id
                for each in self._registry.list("integration", call.tenant)
                if integration in (None, each.id, each.name)
            )
            groups += await self._journal.dead_deliveries(query, ids)
        if not before and kind in (None, "refusal"):
            groups += await self._refused(call, window)
        items = [self._view(call, group) for group in sorted(groups, key=lambda group: -group.last_ms)]
        return FailurePage(items, self._journal.epochs.message_id(next) if next else None, looked_back_to)

    async def _refused(self, call: Call, window: Window) -> list[FailureGroup]:
        """Of the newest events of refusals."""
        name = self._searches.name_of(call, call.query("datasource"))
        found = await self._searches.refused(call.tenant, window, 0, EVENTS, name, call.query("device"))
        return merged([_refusal(id, event) for id, event in found.events])

    def _view(self, call: Call, group: FailureGroup) -> Failures:
        where, version = group.where, None
        if group.kind == "conversion":
            id, _, number = where.partition("/")
            where, version = self._name(call, "converter", id), whole(number)
        elif group.kind == "delivery":
            where = self._name(call, "integration", where)
        is_event = group.kind == "refusal"
        sample = f"{EVENT}{group.sample}" if is_event else self._journal.epochs.message_id(group.sample)
        names = [self._pipeline.datasource_name(id) for id in group.datasources]
        return Failures(
            group.id, group.kind, where, version, group.error, pattern(group.error.message), names, group.count,
            group.first_ms, group.last_ms, sample,
        )  # fmt: skip

    def _name(self, call: Call, kind: str, id: str) -> str:
        try:
            return self._registry.get(kind, id, call.tenant).name
        except NotFound:
            return id


def _refusal(id: int, event: Event) -> FailureGroup:
    reason, at_ms = str(event.detail.get("reason", "refused")), DateMs(event.ts)
    error = ConversionError(event.message, stage="intake", name=reason)
    key = group_id("refusal", event.source, event.name, reason, pattern(event.message))
    more = event.detail.get("more", 0)
    count = 1 + (more if isinstance(more, int) else 0)
    return FailureGroup(key, "refusal", event.name, error, (), count, at_ms, at_ms, id)
