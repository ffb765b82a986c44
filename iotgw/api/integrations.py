"""`/integrations`: where data goes out, and what can be done with their queues."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from iotgw.api.auth import Permission
from iotgw.api.catalogue import Page, WithBacklog, leaving, not_empty
from iotgw.api.configurations import (
    looked_at,
    sealed_configuration,
    with_clear_configuration,
    with_masked_configuration,
)
from iotgw.api.foreseen import NOTHING, Foreseen
from iotgw.api.queries import Query
from iotgw.api.routes import Call, Milliseconds, Route
from iotgw.api.stored import stored_message
from iotgw.core.departures import Departures
from iotgw.core.errors import Conflict, NotFound, SettingsError, Unavailable
from iotgw.core.model import Kind, Parked
from iotgw.core.numbers import whole
from iotgw.core.orders import carry_out
from iotgw.core.ports.delivery import IDeliveries
from iotgw.core.ports.integrations import IIntegrationType
from iotgw.core.ports.journal import IMessages
from iotgw.core.ports.nodes import INodes, lease_of
from iotgw.core.ports.orders import IOrders, Order
from iotgw.core.ports.reactor import InThread
from iotgw.core.ports.registry import IRegistry
from iotgw.core.recorder import Recorder
from iotgw.core.specs import IntegrationSpec, Resource
from iotgw.core.stream import WEIGHT
from iotgw.core.types import Types


class Seek(Struct, frozen=True, forbid_unknown_fields=True):
    """Milliseconds since 1970; 0 for all that is stored."""

    since: Annotated[Milliseconds, Meta(description="Milliseconds since 1970; 0 for all that is stored.")]


class TargetTrial(Struct, frozen=True, forbid_unknown_fields=True):
    """What is sent: a stored message by its id, and which of its outputs. Without one, a sample."""

    message: Annotated[str, Meta(description="The id of a stored message; a sample where it is empty.")] = ""
    output: Annotated[int, Meta(ge=1, le=1 << 53, description="The number of an output, from 1.")] = 1


class DeadLetterRetry(Struct, frozen=True, forbid_unknown_fields=True):
    """Which dead letters: their positions; all where none is given."""

    positions: Annotated[
        Annotated[list[Annotated[int, Meta(ge=0, le=1 << 53)]], Meta(max_length=1000)] | None,
        Meta(description="The dead letters' positions; all of them where none is given."),
    ] = None


class DeadLetter(Struct, frozen=True, rename="camel"):
    """A delivery that was given up. ``position`` names it for a retry, ``id`` is its message's."""

    position: int
    id: str
    device: str
    received_at: int
    attempts: int
    error: str
    body: msgspec.Raw


class IntegrationRoutes(WithBacklog):
    """The routes of integrations.

    Many methods: one for each route.
    """

    kind = "integration"
    collection = "integrations"
    spec = IntegrationSpec

    def __init__(
        self, registry: IRegistry, recorder: Recorder, types: Types[IIntegrationType], delivery: IDeliveries,
        departures: Departures, journal: IMessages, nodes: INodes, in_thread: InThread, orders: IOrders | None = None,
    ) -> None:  # fmt: skip
        super().__init__(registry, recorder, departures, journal)
        self._types = types
        self._delivery = delivery
        self._nodes = nodes
        self._in_thread = in_thread
        self._orders = orders

    def routes(self) -> list[Route]:
        """As of every kind, and what can be done with their queues."""
        read, write, one = Permission.READ, Permission.WRITE, "/integrations/<name>"
        dead = (
            Query("limit", int, 100, "how many at most", range=(1, 1000)),
            Query("after", int, 0, "a position; the list goes on behind it"),
        )
        return [
            *super().routes(),
            Route("GET", f"{one}/stats", read, self.stats, "Its accounts and its queue", answer=dict),
            Route(
                "POST", f"{one}/check", write, self.try_check, "Connect and authenticate only", answer=dict
            ),
            Route(
                "POST",
                f"{one}/test",
                write,
                self.try_test,
                "Send one message now, and show it",
                TargetTrial,
                dict,
            ),
            Route("POST", f"{one}/pause", write, self.pause, "Hold what comes; it waits", answer=dict),
            Route("POST", f"{one}/resume", write, self.resume, "Go on", answer=dict),
            Route("POST", f"{one}/drain", write, self.drain, "Try all that waits at once", answer=dict),
            Route("POST", f"{one}/purge", write, self.purge, "Drop all that waits, counted", answer=dict),
            Route("POST", f"{one}/seek", write, self.seek, "Send history again from a time on", Seek, dict),
            Route(
                "GET",
                f"{one}/dead-letters",
                read,
                self.dead_letters,
                "What was given up",
                answer=Page,
                query=dead,
            ),
            Route(
                "DELETE",
                f"{one}/dead-letters",
                write,
                self.dismiss,
                "Dismiss dead letters: all, or those that match",
                answer=dict,
                query=(
                    Query("device", str, None, "those of this device"),
                    Query("before", int, None, "those received before, in milliseconds since 1970"),
                    Query("error", str, None, "those whose error contains this text"),
                ),
            ),
            Route(
                "DELETE",
                f"{one}/dead-letters/<position>",
                write,
                self.dismiss_one,
                "Dismiss one dead letter",
                answer=dict,
            ),
            Route("POST", f"{one}/retry", write, self.retry, "Try dead letters again", DeadLetterRetry, dict),
        ]

    async def check(
        self, tenant: str, spec: IntegrationSpec, stored: Resource | None, foreseen: Foreseen = NOTHING
    ) -> IntegrationSpec:
        """See `Catalogue.check`."""
        not_empty(spec.name)
        stored = await looked_at(self._in_thread, self._types, spec, stored, self.registry)
        configuration = sealed_configuration(self._types, spec, stored, self.registry)
        if spec.format == "template" and not spec.template:
            raise SettingsError("template", "expected a template, because format is 'template'")
        if spec.single and spec.queue.overflow == "rejectNew":
            raise SettingsError(
                "queue.overflow",
                "expected dropOldest, as messages are taken by nodes that don't know the queue, which is single",
            )
        spec = msgspec.structs.replace(spec, configuration=configuration)
        self._delivery.validate(spec)
        return spec

    def masked(self, body: dict[str, Any]) -> dict[str, Any]:
        """See `Catalogue.masked`."""
        return with_masked_configuration(self._types, body, self.registry.unseal)

    def clear(self, body: dict[str, Any]) -> dict[str, Any]:
        """See `Catalogue.clear`."""
        return with_clear_configuration(self._types, body, self.registry.unseal)

    def status(self, resource: Resource) -> dict[str, Any]:
        """See `Catalogue.status`."""
        return with_node(state_of(self._delivery, resource), self._nodes, resource.id)

    def check_drains(self, resource: Resource) -> None:
        """See `WithBacklog.check_drains`."""
        status = state_of(self._delivery, resource)
        if status["state"] in ("disabled", "paused", "held") and status.get("waiting"):
            raise Conflict(
                f"integration {resource.name!r} is {status['state']}, and {status['waiting']} messages wait for "
                "it: enable or resume it to have them delivered, or delete it with backlog=drop"
            )

    async def stats(self, call: Call, name: str) -> Any:
        """Accounts and queue; of several nodes, those of this one, and the sums of all."""
        id = self.find(call, name).id
        stats, sums = self._stats(id), await self._nodes.accounts(id)
        return stats if sums is None else {**stats, "everywhere": msgspec.to_builtins(sums)}

    def _stats(self, id: str) -> dict[str, Any]:
        return with_node(stats_of(self._delivery, id), self._nodes, id)

    async def try_check(self, call: Call, name: str) -> Any:
        """Connect and authenticate."""
        return await self._delivery.check(self.find(call, name).id)

    async def try_test(self, call: Call, name: str) -> Any:
        """One message: a stored one, or a sample."""
        id, asked = self.find(call, name).id, call.optional_body()
        if not asked.message:
            return await self._delivery.test(id)
        message = await stored_message(self._journal, call.tenant, asked.message)
        records = [record for record in message.records if record.kind is Kind.TELEMETRY]
        if not records:
            state = message.state.name.lower()
            raise SettingsError("message", f"expected a message with an output, got one that is {state}")
        if asked.output > len(records):
            raise SettingsError("output", f"expected at most {len(records)}, got {asked.output}")
        return await self._delivery.test(id, records[asked.output - 1])

    async def pause(self, call: Call, name: str) -> Any:
        """Hold."""
        return await self._done(call, name, Order("pause"))

    async def resume(self, call: Call, name: str) -> Any:
        """Go on."""
        return await self._done(call, name, Order("resume"))

    async def drain(self, call: Call, name: str) -> Any:
        """Try what waits."""
        return await self._done(call, name, Order("drain"))

    async def purge(self, call: Call, name: str) -> Any:
        """Drop what waits."""
        return await self._done(call, name, Order("purge"))

    async def seek(self, call: Call, name: str) -> Any:
        """Send history again."""
        return await self._done(call, name, Order("seek", call.body().since))

    async def retry(self, call: Call, name: str) -> Any:
        """Try dead letters again."""
        positions = call.optional_body().positions
        if positions is None:
            return await self._done(call, name, Order("retry"))
        id = self.find(call, name).id
        for position in positions:
            await self._delivery.retry(id, position)
        return self._delivery.stats(id)

    async def dismiss(self, call: Call, name: str) -> Any:
        """Drop dead letters."""
        query = call.query
        which = query("device") or "", query("before") or 0, query("error") or ""
        return await self._done(call, name, Order("dismiss", 0, *which), "dismissed")

    async def dismiss_one(self, call: Call, name: str, position: str) -> Any:
        """Drop one."""
        id, number = self.find(call, name).id, whole(position)
        if number is None:
            raise NotFound(f"no dead letter at {position!r}")
        count = await self._delivery.dismiss(id, number)
        return {"dismissed": count, **self._delivery.stats(id)}

    async def dead_letters(self, call: Call, name: str) -> Page:
        """What was given up, oldest first."""
        id, limit = self.find(call, name).id, call.query("limit")
        found = await self._delivery.dead_letters(id, call.query("after"), limit)
        items = [self._dead_letter(parked) for parked in found]
        is_cut = len(items) == limit or sum(len(parked.record.body) for parked in found) >= WEIGHT
        return Page(items, str(items[-1].position) if is_cut else None)

    def _dead_letter(self, parked: Parked) -> DeadLetter:
        record = parked.record
        body = b"null" if record.kind is Kind.UNREADABLE else record.body
        return DeadLetter(
            record.seq, self._journal.epochs.id_of(record), record.device_name,
            record.received_ms, parked.attempts, parked.error, msgspec.Raw(body),
        )  # fmt: skip

    async def _done(self, call: Call, name: str, order: Order, counted: str = "") -> dict[str, Any]:
        """Do something with a queue, in the partitions of all nodes; the answer is its accounts after it, with what was ``counted``."""
        id = self.find(call, name).id
        is_here = stats_of(self._delivery, id)["state"] != ELSEWHERE
        count = await carry_out(self._delivery, id, order) if is_here else 0
        answer: dict[str, Any] = {}
        if self._orders is not None:
            given = await self._orders.give(id, order, is_here)
            count += given.count
            answer = {"partitionsLeft": given.left}
        if counted:
            answer[counted] = count
        return {**answer, **self._stats(id)}


ELSEWHERE = "elsewhere"
"""The state of an integration to which another node delivers."""


def stats_of(delivery: IDeliveries, id: str) -> dict[str, Any]:
    """The accounts and the state of an integration; where another node delivers, nothing but that. Raises NotFound if it isn't running."""
    try:
        return delivery.stats(id)
    except Conflict:
        return {"state": ELSEWHERE}


def with_node(stats: dict[str, Any], nodes: INodes, id: str) -> dict[str, Any]:
    """With ``runsOn``, the node that delivers to an integration for all, where there is one."""
    runs_on = next((each.name for each in nodes.list() if lease_of(id) in each.leases), None)
    return stats if runs_on is None else {**stats, "runsOn": runs_on}


def state_of(delivery: IDeliveries, resource: Resource) -> dict[str, Any]:
    """How an integration does: its accounts and its state; ``stopped`` while it doesn't run."""
    try:
        stats = stats_of(delivery, resource.id)
    except (NotFound, Unavailable):
        stats = {"state": "stopped"}
    return {**stats, **leaving(resource)}
