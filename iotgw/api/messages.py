"""`/messages`: every uplink with what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Annotated, Literal

from msgspec import Meta, Struct
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from iotgw.api.auth import Permission
from iotgw.api.described import OfDatasource, OfDevice, OfGroup, Text, WithText
from iotgw.api.message_search import FILTERS, REFUSED, Searches, Window
from iotgw.api.message_views import (
    EVENT,
    MessagePage,
    MessageRows,
    MessageView,
    MessageViews,
    refusal,
    refusal_row,
)
from iotgw.api.routes import Call, Milliseconds, Route
from iotgw.api.stored import position, stored_message
from iotgw.core.errors import Conflict, NotFound
from iotgw.core.message_query import MessageQuery
from iotgw.core.model import Message, State
from iotgw.core.patience import within
from iotgw.core.places import part_of
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.delivery import IDeliveries
from iotgw.core.ports.events import IEvents
from iotgw.core.ports.journal import IMessages
from iotgw.core.ports.nodes import INodes
from iotgw.core.ports.pipeline import IPipeline
from iotgw.core.ports.registry import IRegistry

PATIENCE = 30.0
"""Seconds that somebody waits for a message to be converted again."""
SLOW = "the message is converted again as soon as the journal can be written and a converter is free"
BULK = 10_000
"""The most messages that one bulk call looks at."""

"""A filter's value: an empty one would be no filter at all."""


class Selection(Struct, frozen=True, forbid_unknown_fields=True):
    """Which messages to convert again: those with ``ids``, or the newest ``limit`` that the filters leave; of all
    that failed where nothing is said."""

    ids: Annotated[
        Annotated[list[Text], Meta(max_length=BULK)] | None,
        Meta(description="The messages themselves, by their ids; without filters then."),
    ] = None
    datasource: OfDatasource = None
    state: Annotated[
        Literal["received", "converted", "filtered", "failed"] | None,
        Meta(description="Only messages in this state; those that failed where nothing is said."),
    ] = None
    device: OfDevice = None
    text: WithText = None
    group: OfGroup = None
    since: Annotated[
        Milliseconds | None,
        Meta(description="Milliseconds since 1970; only messages that were received then or later."),
    ] = None
    until: Annotated[
        Milliseconds | None,
        Meta(description="Milliseconds since 1970; only messages that were received before."),
    ] = None
    limit: Annotated[
        Annotated[int, Meta(ge=1, le=BULK)] | None,
        Meta(description="How many messages at most, the newest first."),
    ] = None

    def __post_init__(self) -> None:
        """Refuse filters that would be passed over."""
        filters = (
            self.datasource, self.state, self.device, self.text, self.group, self.since, self.until, self.limit
        )  # fmt: skip
        if self.ids is not None and any(each is not None for each in filters):
            raise ValueError(
                "expected either ids or filters (datasource, state, device, text, group, since, until, limit), got both"
            )
        if self.group is not None and self.state not in (None, "failed"):
            raise ValueError("expected a group with failed messages only")


class Reprocessed(Struct, frozen=True):
    """What became of messages that were to be converted again."""

    count: Annotated[int, Meta(description="How many were converted again.")]
    states: Annotated[dict[str, int], Meta(description="How many of these are in which state now.")]
    missing: Annotated[int, Meta(description="How many are gone, or their datasource is.")] = 0
    waiting: Annotated[int, Meta(description="How many still wait for their first conversion.")] = 0
    elsewhere: Annotated[
        int, Meta(description="How many belong to other nodes, which convert them again when they are asked.")
    ] = 0


class MessageRoutes:
    """The routes of messages."""

    def __init__(
        self, registry: IRegistry, journal: IMessages, pipeline: IPipeline, delivery: IDeliveries, events: IEvents,
        calendar: ICalendar, nodes: INodes, clock: IReactorTime,
    ) -> None:  # fmt: skip
        self._clock = clock
        self._journal = journal
        self._nodes = nodes
        self._pipeline = pipeline
        self._calendar = calendar
        self._views = MessageViews(journal.epochs, pipeline, delivery)
        self.searches = Searches(registry, journal, delivery, events, calendar, self._views)

    def routes(self) -> list[Route]:
        """List, read, convert again."""
        read, write = Permission.READ, Permission.WRITE
        one = "/messages/<id>"
        return [
            Route("GET", "/messages", read, self.index, "Messages, newest first", answer=MessagePage, query=FILTERS),
            Route("GET", one, read, self.read, "One message", answer=MessageView),
            Route(
                "POST", f"{one}/reprocess", write, self.reprocess,
                "Convert a stored message again, for real", answer=MessageView,
            ),
            Route(
                "POST", "/messages/reprocess", write, self.reprocess_many,
                "Convert stored messages again, for real", Selection, Reprocessed,
            ),
        ]  # fmt: skip

    async def index(self, call: Call) -> MessagePage | MessageRows:
        """A page of messages, or of refusals."""
        rows = call.query("view") == "row"
        if call.query("outcome") == REFUSED:
            refused = await self.searches.refusals(call)
            after = f"{EVENT}{refused.next}" if refused.next else None
            if rows:
                return MessageRows(
                    [refusal_row(*each) for each in refused.events], after, refused.looked_back_to
                )
            return MessagePage([refusal(*each) for each in refused.events], after, refused.looked_back_to)
        found = await self.searches.search(call)
        older = self._journal.epochs.message_id(found.next) if found.next else None
        if rows:
            return MessageRows(
                [self._views.row(each) for each in found.messages], older, found.looked_back_to
            )
        deliveries = await self._views.deliveries(found.messages)
        items = list(map(self._views.of, found.messages, deliveries))
        return MessagePage(items, older, found.looked_back_to)

    async def read(self, call: Call, id: str) -> MessageView:
        """One message."""
        return await self.view(await self.find(call, id))

    async def reprocess(self, call: Call, id: str) -> MessageView:
        """One message, converted again."""
        message = await self.find(call, id)
        if part := part_of(message.seq):
            raise Conflict(f"the message is of node {self._home(part)!r}: no other one converts it again")
        await self._again(message)
        return await self.view(await self.find(call, id))

    def _again(self, message: Message) -> Deferred[State]:
        doing = Deferred.fromCoroutine(self._pipeline.reprocess(message))
        return within(PATIENCE, doing, self._clock, SLOW)

    async def reprocess_many(self, call: Call) -> Reprocessed:
        """Many messages, oldest first, so that a device's values come in their order."""
        states: Counter[str] = Counter()
        missing = waiting = elsewhere = 0
        for seq in sorted(await self._selected(call, call.body())):
            message = await self._journal.message(seq)
            if message is None or message.uplink.tenant != call.tenant:
                missing += 1
                continue
            if part_of(seq):
                elsewhere += 1
                continue
            try:
                state = await self._again(message)
            except NotFound:
                missing += 1
                continue
            except Conflict:
                waiting += 1
                continue
            states[state.name.lower()] += 1
        return Reprocessed(states.total(), dict(states), missing, waiting, elsewhere)

    def _home(self, part: int) -> str:
        return next((each.name for each in self._nodes.list() if each.partition == part), str(part))

    async def _selected(self, call: Call, selection: Selection) -> Collection[int]:
        """The positions of a selection: all of them at once, and each message when it is its turn."""
        if selection.ids is not None:
            return {await self.position(id) for id in dict.fromkeys(selection.ids)}
        window = Window(selection.since or 0, selection.until or 0)
        window.check()
        since, until = window.of(self._calendar)
        query = MessageQuery(
            tenant=call.tenant, datasource=self.datasource_id(call, selection.datasource),
            state=State[(selection.state or "failed").upper()], device=selection.device, or_named=True,
            text=selection.text, group=selection.group, since=since, until=until,
        )  # fmt: skip
        return await self.searches.positions(query, selection.limit or 1000)

    # --- for other resources ---

    async def find(self, call: Call, id: str) -> Message:
        """A message of the call's tenant; raises NotFound."""
        return await stored_message(self._journal, call.tenant, id)

    async def position(self, id: str) -> int:
        """The position in the journal that an id names; raises NotFound for another journal's."""
        return await position(self._journal, id)

    def datasource_id(self, call: Call, name: str | None) -> str | None:
        """The id of a datasource by id or name; what is unknown is taken for the id of a deleted one."""
        return self.searches.id_of(call, "datasource", name)

    async def view(self, message: Message) -> MessageView:
        """A message as the API shows it."""
        return await self._views.whole(message)
