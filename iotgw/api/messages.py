"""`/messages`: every uplink with what became of it."""

from __future__ import annotations

import base64
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct
from twisted.internet.defer import Deferred, gatherResults

from iotgw.api.auth import Permission
from iotgw.api.queries import Query
from iotgw.api.routes import Call, Route
from iotgw.api.stored import position, stored_message
from iotgw.core.errors import Conflict, IotgwError, NotFound, SettingsError
from iotgw.core.model import ConversionError, Delivery, Kind, Message, State
from iotgw.core.ports.delivery import IDeliveries
from iotgw.core.ports.journal import IMessages
from iotgw.core.ports.pipeline import IPipeline
from iotgw.core.ports.registry import IRegistry

STATES = ("received", "converted", "filtered", "failed")
BULK = 10_000
"""The most messages that one bulk call looks at."""


class MessageView(Struct, frozen=True, rename="camel"):
    """A message. ``received_at`` is milliseconds since 1970, ``payload`` base64; each of ``output`` is one
    device's ``{deviceName, deviceType, attributes, telemetry: [{ts, values}]}``; ``converter`` names the
    version that ran."""

    id: str
    received_at: int
    datasource: str
    state: str
    payload: str
    metadata: msgspec.Raw
    output: list[msgspec.Raw]
    error: ConversionError | None
    deliveries: list[Delivery]
    converter: str = ""


class MessagePage(Struct, frozen=True):
    """Messages, newest first; ``next`` goes into ``before`` for older ones, null when there are none."""

    items: list[MessageView]
    next: str | None


Text = Annotated[str, Meta(min_length=1, max_length=255)]
"""A filter's value: an empty one would be no filter at all."""


class Selection(Struct, frozen=True, forbid_unknown_fields=True):
    """Which messages to convert again: those with ``ids``, or the newest ``limit`` that the filters leave; of all
    that failed where nothing is said."""

    ids: Annotated[list[Text], Meta(max_length=BULK)] | None = None
    datasource: Text | None = None
    state: Literal["received", "converted", "filtered", "failed"] | None = None
    device: Text | None = None
    limit: Annotated[int, Meta(ge=1, le=BULK)] | None = None

    def __post_init__(self) -> None:
        """Refuse filters that would be passed over."""
        filters = (self.datasource, self.state, self.device, self.limit)
        if self.ids is not None and any(each is not None for each in filters):
            raise ValueError("expected either ids or filters (datasource, state, device, limit), got both")


class Reprocessed(Struct, frozen=True):
    """How many were converted again, by their new state; ``missing`` are gone, or their datasource is. ``waiting`` still
    wait for their first conversion."""

    count: int
    states: dict[str, int]
    missing: int = 0
    waiting: int = 0


FILTERS = (
    Query("datasource", str, None, "id or name"),
    Query("state", str, None, "what became of it", choices=STATES),
    Query("device", str, None, "a device's name"),
    Query("limit", int, 100, "how many at most", range=(1, 1000)),
    Query("before", str, None, "a message's id; the list goes on with older ones"),
)


class MessageRoutes:
    """The routes of messages."""

    def __init__(
        self, registry: IRegistry, journal: IMessages, pipeline: IPipeline, delivery: IDeliveries
    ) -> None:
        self._registry = registry
        self._journal = journal
        self._pipeline = pipeline
        self._delivery = delivery

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

    async def index(self, call: Call) -> MessagePage:
        """A page of messages."""
        limit = call.query("limit")
        before = call.query("before")
        state = call.query("state")
        found = await self._journal.messages(
            call.tenant,
            self._place(before) if before is not None else 0,
            limit,
            datasource=self.datasource_id(call, call.query("datasource")),
            state=State[state.upper()] if state else None,
            device=call.query("device"),
        )
        items = await gatherResults([Deferred.fromCoroutine(self.view(message)) for message in found])
        more = len(found) == limit
        return MessagePage(items, items[-1].id if more else None)

    async def read(self, call: Call, id: str) -> MessageView:
        """One message."""
        return await self.view(await self.find(call, id))

    async def reprocess(self, call: Call, id: str) -> MessageView:
        """One message, converted again."""
        message = await self.find(call, id)
        await self._pipeline.reprocess(message)
        return await self.view(await self.find(call, id))

    async def reprocess_many(self, call: Call) -> Reprocessed:
        """Many messages, oldest first, so that a device's values come in their order."""
        selection = call.body()
        states: dict[str, int] = {}
        found = await self.select(call, selection)
        missing = len(set(selection.ids)) - len(found) if selection.ids is not None else 0
        waiting = 0
        for message in reversed(found):
            try:
                state = await self._pipeline.reprocess(message)
            except NotFound:
                missing += 1
                continue
            except Conflict:
                waiting += 1
                continue
            word = state.name.lower()
            states[word] = states.get(word, 0) + 1
        return Reprocessed(sum(states.values()), states, missing, waiting)

    # --- for other resources ---

    async def select(self, call: Call, selection: Selection) -> list[Message]:
        """The messages of a selection, newest first; ids that are gone are left out."""
        if selection.ids is not None:
            ids = dict.fromkeys(selection.ids)
            found = [await self._journal.message(self.position(id)) for id in ids]
            known = [message for message in found if message and message.uplink.tenant == call.tenant]
            return sorted(known, key=lambda message: -message.seq)
        state = State[(selection.state or "failed").upper()]
        wanted = selection.limit or 1000
        result: list[Message] = []
        before = 0
        while len(result) < wanted:
            some = await self._journal.messages(
                call.tenant, before, min(500, wanted - len(result)),
                datasource=self.datasource_id(call, selection.datasource), state=state,
                device=selection.device,
            )  # fmt: skip
            if not some:
                break
            result += some
            before = some[-1].seq
        return result

    async def find(self, call: Call, id: str) -> Message:
        """A message of the call's tenant; raises NotFound."""
        return await stored_message(self._journal, call.tenant, id)

    def _place(self, before: str) -> int:
        try:
            return self.position(before)
        except NotFound as error:
            raise SettingsError("before", f"expected the id of a message of this journal: {error}") from error

    def position(self, id: str) -> int:
        """The position in the journal that an id names; raises NotFound for another journal's."""
        return position(self._journal, id)

    def datasource_id(self, call: Call, name: str | None) -> str | None:
        """The id of a datasource by id or name; what is unknown is taken for the id of a deleted one."""
        if not name:
            return None
        try:
            return self._registry.get("datasource", name, call.tenant).id
        except NotFound:
            return name

    async def view(self, message: Message) -> MessageView:
        """A message as the API shows it."""
        uplink = message.uplink
        records = [record for record in message.records if record.kind is Kind.TELEMETRY]
        try:
            deliveries = await self._delivery.deliveries(message)
        except IotgwError:
            deliveries = []
        return MessageView(
            id=self._journal.epochs.message_id(message.seq),
            received_at=uplink.received_ms,
            datasource=self._pipeline.datasource_name(uplink.datasource),
            state=message.state.name.lower(),
            payload=base64.b64encode(uplink.payload).decode(),
            metadata=msgspec.Raw(uplink.metadata or b"{}"),
            output=[msgspec.Raw(record.body) for record in records],
            error=message.error,
            deliveries=list(deliveries),
            converter=message.converter,
        )
