"""`/metrics`: the accounts of the gateway for Prometheus (`iotgw.api.metric_table` says which).

What is received is converted, filtered, failed or waiting; what is queued for an integration is delivered, in flight, waiting,
expired, dead or dropped. Counters count from the start of the process and never go back. Accounts are gauges, because what is mended moves
from one state to another.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, get_args

from twisted.internet.task import deferLater

from iotgw import __version__
from iotgw.api.auth import Permission
from iotgw.api.exposition import CONTENT_TYPE, Exposition, process
from iotgw.api.integrations import ELSEWHERE, state_of
from iotgw.api.parts import Parts
from iotgw.api.routes import Call, Reply, Route
from iotgw.core.model import DEFAULT_TENANT
from iotgw.core.ports.meters import Meter
from iotgw.core.ports.nodes import NodeState, NodeView
from iotgw.core.ports.pipeline import CAUSES
from iotgw.core.specs import Resource
from iotgw.core.times import SteadyMs

DOWN = frozenset({"failed", "stopped", "disabled", "unavailable"})
"""States in which a datasource or an integration does not work."""
MOST = 1000
"""Datasources, integrations and tenants that have figures of their own. What others count is added up as `OTHERS`, so that nobody's fleet makes
the answer, and Prometheus's memory, grow without end."""
OTHERS = "(others)"
AT_ONCE = 100
"""Resources whose figures are collected before the reactor may do other work."""
MOMENTARY = frozenset({
    "connections", "dtlsHalfOpen", "dtlsSessions", "observations", "partitions", "pausedPartitions", "peers", "registrations", "remembered",
    "underWay", "unsettled", "updates", "variables", "waiting",
})  # fmt: skip
"""Protocols' figures that go up and down. The others only grow while a datasource is open."""
OWN = frozenset({"counts", "refusals", "pending", "repeats"})
"""What a datasource's status has beside its protocol's figures."""


class MetricsRoutes:
    """The route of metrics. It reads figures of nearly every part, so it is given them all."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._started = SteadyMs(int(parts.clock.seconds() * 1000))

    def routes(self) -> list[Route]:
        """One, also at the root."""
        return [
            Route(
                "GET",
                "/metrics",
                Permission.READ,
                self.read,
                "Figures for Prometheus",
                of_tenant=False,
                answer_text="text/plain",
            )
        ]

    async def read(self, call: Call) -> Reply:
        """All figures that the caller may see."""
        exposition, parts = Exposition(), self._parts
        exposition.add("iotgw_info", 1, __version__, str(parts.journal.epochs.current), parts.nodes.name)
        journal = await parts.journal.stats()
        self._room(exposition)
        self._dates(exposition)
        self._confinement(exposition)
        tenants = {DEFAULT_TENANT if call.tenants is None else call.tenants}
        meters = {id: meter for room in parts.meters for id, meter in room.meters().items()}
        listeners: dict[str, dict[str, Any]] = {}
        datasources = parts.registry.list("datasource", call.tenants)
        counted = journal.get("datasources", {})
        async for resource, place in self._in_turns(datasources):
            tenants.add(resource.tenant)
            status = parts.pipeline.status(resource.id)
            figures = Datasource(exposition, resource, place, status, listeners)
            figures.expose(meters.get(resource.id, NOTHING), counted.get(resource.id, {}))
        async for resource, place in self._in_turns(parts.registry.list("integration", call.tenants)):
            tenants.add(resource.tenant)
            stats = state_of(parts.delivery, resource)
            _integration(exposition, resource, place, stats, meters.get(resource.id, NOTHING))
        self._tenants(exposition, sorted(tenants), call)
        if call.sees_gateway:
            self._journal(exposition, journal)
            self._gateway(exposition)
            for listener, numbers in listeners.items():
                for figure, value in numbers.items():
                    name = "iotgw_listener" if figure in MOMENTARY else "iotgw_listener_total"
                    exposition.add(name, value, listener, figure)
        text: list[bytes] = []
        for piece in exposition.pieces():
            if text:
                await deferLater(parts.clock, 0)
            text.append(piece)
        return Reply(content=b"".join(text), content_type=CONTENT_TYPE)

    async def _in_turns(self, resources: list[Resource]) -> AsyncIterator[tuple[Resource, tuple[str, str]]]:
        """Resources with the tenant and the name that their figures have, some at a time."""
        for at, resource in enumerate(resources):
            if at and at % AT_ONCE == 0:
                await deferLater(self._parts.clock, 0)
            yield resource, (resource.tenant, resource.name) if at < MOST else (OTHERS, OTHERS)

    def _tenants(self, exposition: Exposition, tenants: list[str], call: Call) -> None:
        """What is counted by tenant: each of those that have a datasource or an integration, and the rest together."""
        parts = self._parts
        latency, fleet = parts.latency, parts.fleet
        shown = tenants[:MOST]
        devices = {of: fleet.count(of) for of in shown}
        held = {of: parts.quarantine.count(of) for of in shown}
        troubled = {of: fleet.in_trouble(of) for of in shown}
        if call.tenants is None:
            devices[OTHERS] = fleet.count(None) - sum(devices.values())
            held[OTHERS] = parts.quarantine.count(None) - sum(held.values())
            all_, some = fleet.in_trouble(None), [*troubled.values()]
            troubled[OTHERS] = {
                trouble: count - sum(each[trouble] for each in some) for trouble, count in all_.items()
            }
        for of, count in devices.items():
            if count or of != OTHERS:
                exposition.add("iotgw_devices", count, of)
                exposition.add("iotgw_devices_quarantined", held[of], of)
                for trouble, many in troubled[of].items():
                    exposition.add("iotgw_devices_troubled", many, of, trouble)
            waits = latency.waits("" if of == OTHERS else of) if latency is not None else None
            if waits is not None:
                exposition.histogram("iotgw_durable_seconds", waits, of)
        if parts.certificate_ends is not None:
            for (of, file), end in sorted(parts.certificate_ends.ends().items()):
                if call.tenants in (None, of):
                    exposition.add("iotgw_certificate_end_seconds", end, of, file)

    def _gateway(self, exposition: Exposition) -> None:
        """What is of all tenants together."""
        self._converters(exposition)
        self._backups(exposition)
        for node in self._parts.nodes.list():
            self._node(exposition, node)
        for listener, reasons in self._parts.doors.counts().items():
            for reason, count in reasons.items():
                exposition.add("iotgw_refusals_total", count, "", "", listener, reason)
        exposition.add("iotgw_downlinks_open", self._parts.downlinks.depth())
        exposition.add("iotgw_events_dropped_total", self._parts.events.dropped)
        process(exposition, self._parts.dates.date_ms(self._started) / 1000)

    def _node(self, exposition: Exposition, node: NodeView) -> None:
        for state in get_args(NodeState):
            exposition.add("iotgw_node_state", int(node.state == state), node.name, state)
        exposition.add("iotgw_node_heard_seconds", node.heard, node.name)
        exposition.add("iotgw_partition_held", 1, node.name, node.held_by)

    def _backups(self, exposition: Exposition) -> None:
        for plan in self._parts.backup_plans.plans():
            last = plan.last.made_at / 1000 if plan.last is not None else None
            exposition.add("iotgw_backup_last_success_seconds", last, plan.name)
            due = plan.due / 1000 if plan.due is not None else None
            exposition.add("iotgw_backup_due_seconds", due, plan.name)
            size = plan.last.bytes if plan.last is not None else None
            exposition.add("iotgw_backup_bytes", size, plan.name)
            exposition.add("iotgw_backup_failures_total", plan.failures, plan.name)

    def _room(self, exposition: Exposition) -> None:
        room = self._parts.pipeline.room()
        exposition.add("iotgw_journal_room", int(room.is_open))
        for cause in CAUSES:
            exposition.add("iotgw_no_room", int(room.cause == cause), cause)

    def _dates(self, exposition: Exposition) -> None:
        dates = self._parts.dates
        exposition.add("iotgw_date_seconds", dates.seconds())
        exposition.add("iotgw_clock_unsure", int(dates.is_unsure(dates.now_ms())))

    def _journal(self, exposition: Exposition, stats: dict[str, Any]) -> None:
        for name, figure in JOURNAL.items():
            exposition.add(name, stats.get(figure))
        for name, figure in SPILL.items():
            exposition.add(name, stats.get("spill", {}).get(figure))
        for table, count in {**dict.fromkeys(TABLES, 0), **stats.get("unreadable", {})}.items():
            exposition.add("iotgw_journal_unreadable", count, table)

    def _confinement(self, exposition: Exposition) -> None:
        held = self._parts.converters.status()["confinement"]
        for wall in ("seccomp", "landlock"):
            exposition.add("iotgw_converters_confined", int(bool(held[wall])), wall)

    def _converters(self, exposition: Exposition) -> None:
        state = self._parts.converters.status()
        exposition.add("iotgw_conversions_waiting", state.get("waiting"))
        for worker in state.get("workers", ()):
            exposition.add("iotgw_worker_deaths_total", worker["deaths"], worker["name"])
        exposition.add("iotgw_converters_suspended", len(state.get("suspended", ())))
        exposition.add("iotgw_credentials_unusable", len(self._parts.credentials.unusable))


NOTHING = Meter({})
TABLES = ("uplink", "telemetry")
"""The journal's streams. What is damaged in them is counted."""
JOURNAL = {
    "iotgw_journal_bytes": "bytes",
    "iotgw_journal_file_bytes": "fileBytes",
    "iotgw_journal_wal_bytes": "walBytes",
    "iotgw_journal_pending": "pending",
    "iotgw_disk_bytes": "diskBytes",
    "iotgw_disk_free_bytes": "diskFree",
    "iotgw_uplinks_waiting": "waiting",
    "iotgw_deliveries_parked": "parked",
}
"""The journal's figures, by metric."""
SPILL = {
    "iotgw_spilled": "messages",
    "iotgw_spilled_bytes": "bytes",
    "iotgw_spilled_total": "total",
}
"""What the journal says of what it spills, by metric."""

Place = tuple[str, str]
"""The tenant and the name under which a resource's figures stand."""


class Datasource:
    """The figures of one datasource. ``listeners`` gets those of the ports that it listens on, which others may share."""

    def __init__(
        self,
        exposition: Exposition,
        resource: Resource,
        place: Place,
        status: dict[str, Any],
        listeners: dict[str, dict[str, Any]],
    ) -> None:
        self._exposition = exposition
        self._type = str(resource.body["type"])
        self._place = place
        self._status = status
        self._listeners = listeners

    def expose(self, meter: Meter, accounts: dict[str, int]) -> None:
        """All of them."""
        add, place, status = self._exposition.add, self._place, self._status
        up = int(status.get("state") not in DOWN)
        add("iotgw_datasources", 1, place[0], str(up))
        if place[0] != OTHERS:
            add("iotgw_datasource_up", up, *place, self._type)
        add("iotgw_uplinks_received_total", meter.counts.get("received"), *place)
        add("iotgw_uplinks_refused_total", meter.counts.get("refused"), *place)
        for outcome in ("converted", "filtered", "failed"):
            add("iotgw_conversions_total", meter.counts.get(outcome), *place, outcome)
        for state, count in accounts.items():
            add("iotgw_uplinks", count, *place, state)
        add("iotgw_conversions_pending", status.get("pending"), *place)
        add("iotgw_repeats_total", status.get("repeats"), *place)
        for reason, count in status.get("refusals", {}).items():
            add("iotgw_refusals_total", count, *place, "", reason)
        if place[0] != OTHERS:
            self._protocols()

    def _protocols(self) -> None:
        """What the protocol counts stands in the status as it is, or under the name of a port or a protocol."""
        self._figures(self._type, {key: value for key, value in self._status.items() if key not in OWN})
        for protocol, figures in self._status.items():
            if protocol in OWN or not isinstance(figures, dict):
                continue
            listener = figures.get("listener")
            if listener is None:
                self._figures(protocol, figures)
                continue
            own = figures.get("uplinkRequests")
            if own is not None:
                self._figures(protocol, {"requests": own})
            self._listeners[listener] = dict(_numbers({**figures, "uplinkRequests": None}))

    def _figures(self, protocol: str, figures: dict[str, Any]) -> None:
        for figure, value in _numbers(figures):
            name = "iotgw_protocol" if figure in MOMENTARY else "iotgw_protocol_total"
            self._exposition.add(name, value, *self._place, protocol, figure)


def _numbers(figures: dict[str, Any]) -> Iterator[tuple[str, float]]:
    for figure, value in figures.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield figure, value


def _integration(
    exposition: Exposition, resource: Resource, place: Place, stats: dict[str, Any], meter: Meter
) -> None:
    add = exposition.add
    up = int(stats.get("state") not in DOWN)
    add("iotgw_integrations", 1, place[0], str(up))
    if place[0] != OTHERS:
        add("iotgw_integration_up", up, *place, str(resource.body["type"]))
        if resource.body.get("single"):
            add("iotgw_integration_here", int(stats.get("state") != ELSEWHERE), *place)
    for outcome, count in meter.counts.items():
        add("iotgw_deliveries_ended_total", count, *place, outcome)
    dropped: dict[str, int] = stats.get("dropped", {})
    for state in ("queued", "delivered", "expired", "dead", "inflight", "waiting"):
        add("iotgw_deliveries", stats.get(state), *place, state)
    if "queued" in stats:
        add("iotgw_deliveries", sum(dropped.values()), *place, "dropped")
    for reason, count in dropped.items():
        add("iotgw_deliveries_dropped", count, *place, reason)
    add("iotgw_deliveries_retrying", stats.get("retrying"), *place)
    add("iotgw_deliveries_oldest_seconds", stats.get("oldestAge") if "queued" in stats else None, *place)
    if meter.waits is not None:
        exposition.histogram("iotgw_delivered_seconds", meter.waits, *place)
