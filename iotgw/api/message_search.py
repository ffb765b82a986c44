"""Searches for messages by whatever one knows of them: when they came, from where, what became of them."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from iotgw.api.message_views import EVENT, MessageViews
from iotgw.api.queries import Query
from iotgw.api.routes import Call
from iotgw.api.stored import LONGEST_PLACE, PLACES, place
from iotgw.core.errors import NotFound, SettingsError
from iotgw.core.message_query import FoundMessages, Instant, MessageQuery
from iotgw.core.model import Event, Message, State
from iotgw.core.numbers import MOST, whole
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.delivery import IDeliveries
from iotgw.core.ports.events import IEvents
from iotgw.core.ports.journal import IMessages
from iotgw.core.ports.registry import IRegistry
from iotgw.core.specs import Resource
from iotgw.core.times import DateMs

STATES = ("received", "converted", "filtered", "failed")
REFUSED = "refused"
DELIVERIES = ("delivered", "queued", "inflight", "retrying", "dead", "expired", "dropped", "unknown")
OUTCOMES = (*DELIVERIES, "received", "filtered", "failed", REFUSED)
PIECE = 100
"""Messages whose deliveries are looked up at a time."""
LOOK = 500
"""Messages whose deliveries one request looks up."""
EVENTS = 2000
"""Events that one request looks at."""

WINDOW = (
    Query("since", int, 0, "received at this time or later, in milliseconds since 1970", range=(0, MOST)),
    Query(
        "until", int, 0, "received before this time, in milliseconds since 1970; 0 for now", range=(0, MOST)
    ),
)
FILTERS = (
    Query("datasource", str, None, "id or name"),
    Query("state", str, None, "what became of it in the gateway", choices=STATES),
    Query("device", str, None, "a device's name; a message without output is of the device that its metadata names"),
    Query("integration", str, None, "id or name; messages that it gets"),
    Query("outcome", str, None, "how it ended, or where it is: at an integration, in the gateway, or before it", choices=OUTCOMES),
    Query("text", str, None, "a text in its metadata, as it is written there"),
    Query("group", str, None, "the `id` of a group of failed conversions, of `GET /failures`"),
    *WINDOW,
    Query("limit", int, 100, "how many at most", range=(1, 1000)),
    Query("before", str, None, "`next` of the page before, or a message's id; the list goes on with older ones", longest=LONGEST_PLACE, pattern=PLACES),
    Query("view", str, "whole", "rows are short: no payload, metadata, output or deliveries", choices=("whole", "row")),
)  # fmt: skip


class Searched(Struct, frozen=True):
    """Messages, where the search goes on, and how far it came."""

    messages: list[Message]
    next: int
    looked_back_to: int


class SearchedEvents(Struct, frozen=True):
    """The same of events."""

    events: list[tuple[int, Event]]
    next: int
    looked_back_to: int


class Window(Struct, frozen=True):
    """Dates in milliseconds since 1970: from ``since`` on, and before ``until``; 0 for now."""

    since: int = 0
    until: int = 0

    def check(self) -> None:
        """Raise SettingsError for a window that holds nothing."""
        if self.until and self.until <= self.since:
            raise SettingsError("until", f"expected a time after `since`, {self.since}, got {self.until}")

    def of(self, calendar: ICalendar) -> tuple[Instant | None, Instant | None]:
        """Both ends, with the gateway time of each; None for none."""
        ends = [
            Instant(DateMs(each), calendar.moment_ms(DateMs(each))) if each else None
            for each in (self.since, self.until)
        ]
        return ends[0], ends[1]


class Searches:
    """Searches in the journal, and in the events of those who were refused."""

    def __init__(
        self, registry: IRegistry, journal: IMessages, delivery: IDeliveries, events: IEvents, calendar: ICalendar,
        views: MessageViews,
    ) -> None:  # fmt: skip
        self._registry = registry
        self._journal = journal
        self._delivery = delivery
        self._events = events
        self._calendar = calendar
        self._views = views

    def id_of(self, call: Call, kind: str, name: str | None) -> str | None:
        """The id of a resource by id or name; what is unknown is taken for the id of a deleted one."""
        if not name:
            return None
        try:
            return self._registry.get(kind, name, call.tenant).id
        except NotFound:
            return name

    def instants(self, since: int, until: int) -> tuple[Instant | None, Instant | None]:
        """Two dates, of which 0 is none, with the gateway time of each."""
        return Window(since, until).of(self._calendar)

    def query(self, call: Call) -> MessageQuery:
        """What a call with `FILTERS` asks of messages themselves. Raises SettingsError for filters that contradict each other."""
        window = Window(call.query("since"), call.query("until"))
        window.check()
        since, until = window.of(self._calendar)
        state, outcome = call.query("state"), call.query("outcome")
        if outcome in STATES:
            if state not in (None, outcome):
                raise SettingsError("outcome", f"expected {state!r}, which `state` asks for, got {outcome!r}")
            state = outcome
        group = call.query("group")
        if group is not None:
            if state not in (None, "failed"):
                raise SettingsError(
                    "group", f"expected it with failed messages only, got messages that are {state}"
                )
            state = "failed"
        return MessageQuery(
            tenant=call.tenant,
            datasource=self.id_of(call, "datasource", call.query("datasource")),
            state=State[state.upper()] if state else None,
            device=call.query("device"),
            or_named=True,
            text=call.query("text"),
            group=group,
            since=since,
            until=until,
        )

    async def search(self, call: Call) -> Searched:
        """The messages of a call with `FILTERS`."""
        query, before, limit = (
            self.query(call),
            await place(self._journal, call.query("before")),
            call.query("limit"),
        )
        outcome, integration = call.query("outcome"), call.query("integration")
        if integration is None and outcome not in DELIVERIES:
            found = await self._journal.search(query, before, limit)
            return Searched(found.messages, found.next, found.looked_back_to)
        resources = [
            each
            for each in self._registry.list("integration", call.tenant)
            if integration in (None, each.id, each.name)
        ]
        if not resources:
            return Searched([], 0, query.since.date_ms if query.since else 0)
        state = outcome if outcome in DELIVERIES else ""
        query = self._delivery.narrowed(query, state, [each.id for each in resources])
        return await self._by_delivery(query, before, limit, state, resources)

    async def _by_delivery(
        self, query: MessageQuery, before: int, limit: int, state: str, resources: Sequence[Resource]
    ) -> Searched:
        """Messages with a delivery in this state to one of these integrations. Their other deliveries aren't looked up."""
        names, ids = frozenset(each.name for each in resources), [each.id for each in resources]
        found: list[Message] = []
        looked = 0
        while True:
            page: FoundMessages = await self._journal.search(query, before, PIECE)
            standings = await self._views.deliveries(page.messages, ids)
            for message, deliveries in zip(page.messages, standings, strict=True):
                if any(each.integration in names and state in ("", each.state) for each in deliveries):
                    found.append(message)
                if len(found) == limit:
                    return Searched(found, message.seq, message.uplink.received_ms)
            looked += len(page.messages)
            before = page.next
            if not before or looked >= LOOK or len(page.messages) < PIECE:
                return Searched(found, before, page.looked_back_to)

    # --- refusals ---

    async def refusals(self, call: Call) -> SearchedEvents:
        """The refusals of a call with `FILTERS`."""
        window = Window(call.query("since"), call.query("until"))
        window.check()
        return await self.refused(
            call.tenant, window, self._event(call.query("before")), call.query("limit"),
            self.name_of(call, call.query("datasource")), call.query("device"), call.query("text"),
        )  # fmt: skip

    async def refused(
        self, tenant: str, window: Window, before: int, limit: int, datasource: str | None = None,
        device: str | None = None, text: str | None = None,
    ) -> SearchedEvents:  # fmt: skip
        """Events of those who were turned away, newest first."""
        found: list[tuple[int, Event]] = []
        looked, source = 0, "datasource" if datasource else None
        looked_to = window.since
        while looked < EVENTS:
            page = await self._events.query(
                tenant, before, min(EVENTS, 500), source=source, name=datasource, type=REFUSED
            )
            for id, event in page:
                if event.ts < window.since:
                    return SearchedEvents(found, 0, window.since)
                looked, before, looked_to = looked + 1, id, event.ts
                said = f"{event.device} {event.message}"
                is_meant = (device or "") in said and (text or "") in said
                if is_meant and not (window.until and event.ts >= window.until):
                    found.append((id, event))
                if len(found) == limit:
                    return SearchedEvents(found, id, event.ts)
            if len(page) < min(EVENTS, 500):
                return SearchedEvents(found, 0, looked_to)
        return SearchedEvents(found, before, looked_to)

    def name_of(self, call: Call, datasource: str | None) -> str | None:
        """The name of a datasource by id or name."""
        if not datasource:
            return None
        try:
            return self._registry.get("datasource", datasource, call.tenant).name
        except NotFound:
            return datasource

    def _event(self, before: str | None) -> int:
        if before is None:
            return 0
        number = whole(before.removeprefix(EVENT))
        if number is None or not before.startswith(EVENT):
            raise SettingsError("before", "expected `next` of a page of refusals")
        return number

    async def positions(self, query: MessageQuery, limit: int) -> list[int]:
        """Where the newest messages of a query are, newest first, however far it has to look."""
        found: list[int] = []
        before = 0
        while len(found) < limit:
            page = await self._journal.search(query, before, min(500, limit - len(found)))
            found += [message.seq for message in page.messages]
            before = page.next
            if not before:
                break
        return found
