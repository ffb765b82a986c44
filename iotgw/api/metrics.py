"""`/metrics`: the accounts of the gateway for Prometheus. What is received is converted, filtered, failed or
waiting; what is queued for an integration is delivered, in flight, waiting, expired, dead or dropped."""

from __future__ import annotations

from typing import Any

from iotgw import __version__
from iotgw.api.auth import Permission
from iotgw.api.exposition import CONTENT_TYPE, Exposition, process
from iotgw.api.integrations import state_of
from iotgw.api.parts import Parts
from iotgw.api.routes import Call, Reply, Route
from iotgw.core.ports.pipeline import CAUSES
from iotgw.core.times import SteadyMs

DOWN = frozenset({"failed", "stopped", "disabled", "unavailable"})
"""States in which a datasource or an integration does not work."""

REFUSALS = "Senders that were turned away, since the start"


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
        exposition = Exposition()
        exposition.gauge(
            "iotgw_info",
            "Which version runs",
            1,
            version=__version__,
            epoch=self._parts.journal.epochs.current,
        )
        journal = await self._parts.journal.stats()
        self._room(exposition)
        if call.sees_gateway:
            self._journal(exposition, journal)
        for resource in self._parts.registry.list("datasource", call.tenants):
            counts = journal.get("datasources", {}).get(resource.id, {})
            status = self._parts.pipeline.status(resource.id)
            _datasource(exposition, resource.name, resource.body["type"], counts, status)
        for resource in self._parts.registry.list("integration", call.tenants):
            stats = state_of(self._parts.delivery, resource)
            _integration(exposition, resource.name, resource.body["type"], stats)
        for trouble, count in self._parts.fleet.in_trouble(call.tenants).items():
            about = "Devices that are silent, or have a low battery or a weak signal"
            exposition.gauge("iotgw_devices_troubled", about, count, trouble=trouble)
        waiting = self._parts.quarantine.count(call.tenants)
        exposition.gauge(
            "iotgw_devices_quarantined", "Devices that wait for somebody to release them", waiting
        )
        exposition.gauge("iotgw_devices", "Devices that are known", self._parts.fleet.count(call.tenants))
        self._confinement(exposition)
        if call.sees_gateway:
            self._gateway(exposition)
        return Reply(content=exposition.text(), content_type=CONTENT_TYPE)

    def _gateway(self, exposition: Exposition) -> None:
        """What is of all tenants together."""
        self._converters(exposition)
        self._backups(exposition)
        for listener, reasons in self._parts.doors.counts().items():
            for reason, count in reasons.items():
                exposition.counter("iotgw_refusals_total", REFUSALS, count, listener=listener, reason=reason)
        open_items = self._parts.downlinks.depth()
        exposition.gauge("iotgw_downlinks_open", "Downlinks that wait or are on their way", open_items)
        exposition.counter(
            "iotgw_events_dropped_total", "Events that could not be kept", self._parts.events.dropped
        )
        process(exposition, self._parts.dates.date_ms(self._started) / 1000)

    def _backups(self, exposition: Exposition) -> None:
        for plan in self._parts.backup_plans.plans():
            last = plan.last.made_at / 1000 if plan.last is not None else None
            about = "When a plan's last whole backup was made, in seconds since 1970"
            exposition.gauge("iotgw_backup_last_success_seconds", about, last, plan=plan.name)
            size = plan.last.bytes if plan.last is not None else None
            exposition.gauge("iotgw_backup_bytes", "Size of a plan's last whole backup", size, plan=plan.name)
            about = "Backups that failed, since the start"
            exposition.counter("iotgw_backup_failures_total", about, plan.failures, plan=plan.name)

    def _room(self, exposition: Exposition) -> None:
        room = self._parts.pipeline.room()
        exposition.gauge("iotgw_journal_room", "Whether uplinks are taken", int(room.is_open))
        for cause in CAUSES:
            exposition.gauge(
                "iotgw_no_room", "Why uplinks are not taken", int(room.cause == cause), cause=cause
            )

    def _journal(self, exposition: Exposition, stats: dict[str, Any]) -> None:
        gauge = exposition.gauge
        gauge("iotgw_journal_bytes", "Data in the journal", stats.get("bytes"))
        gauge("iotgw_journal_file_bytes", "The journal's file", stats.get("fileBytes"))
        gauge("iotgw_journal_wal_bytes", "The journal's write-ahead log", stats.get("walBytes"))
        gauge("iotgw_journal_pending", "Records that wait for the disk", stats.get("pending"))
        for table, count in stats.get("unreadable", {}).items():
            gauge("iotgw_journal_unreadable", "Rows found unreadable since the start", count, table=table)
        gauge("iotgw_uplinks_waiting", "Stored uplinks that wait for their conversion", stats.get("waiting"))
        gauge("iotgw_deliveries_parked", "Deliveries that failed for their own reason", stats.get("parked"))

    def _confinement(self, exposition: Exposition) -> None:
        held = self._parts.converters.status()["confinement"]
        about = "Whether it confines converters' scripts"
        for wall in ("seccomp", "landlock"):
            exposition.gauge("iotgw_converters_confined", about, int(bool(held[wall])), by=wall)

    def _converters(self, exposition: Exposition) -> None:
        state = self._parts.converters.status()
        exposition.gauge("iotgw_conversions_waiting", "Uplinks that wait for a worker", state.get("waiting"))
        for worker in state.get("workers", ()):
            exposition.counter(
                "iotgw_worker_deaths_total", "Workers that a script took down", worker["deaths"], worker=worker["name"]
            )  # fmt: skip
        suspended = len(state.get("suspended", ()))
        exposition.gauge("iotgw_converters_suspended", "Converters whose script keeps dying", suspended)


def _datasource(
    exposition: Exposition, name: str, type_: str, counts: dict[str, int], status: dict[str, Any]
) -> None:
    up = int(status.get("state") not in DOWN)
    exposition.gauge("iotgw_datasource_up", "Whether it is open", up, datasource=name, type=type_)
    for state, count in counts.items():
        about = "Uplinks: received = converted + filtered + failed + waiting"
        exposition.counter("iotgw_uplinks_total", about, count, datasource=name, state=state)
    refused = status.get("counts", {}).get("refused")
    about = "Uplinks that were told to come back later, since the start"
    exposition.counter("iotgw_uplinks_refused_total", about, refused, datasource=name)
    for reason, count in status.get("refusals", {}).items():
        exposition.counter("iotgw_refusals_total", REFUSALS, count, datasource=name, reason=reason)
    for protocol, figures in status.items():
        if protocol not in ("counts", "refusals") and isinstance(figures, dict):
            for figure, value in figures.items():
                if isinstance(value, int | float) and not isinstance(value, bool):
                    about = "What the protocol counts by itself, since the start"
                    exposition.gauge(
                        "iotgw_protocol", about, value, datasource=name, protocol=protocol, figure=figure
                    )


def _integration(exposition: Exposition, name: str, type_: str, stats: dict[str, Any]) -> None:
    up = int(stats.get("state") not in DOWN)
    exposition.gauge("iotgw_integration_up", "Whether it delivers", up, integration=name, type=type_)
    queued = "Deliveries: queued = delivered + inflight + waiting + expired + dead + dropped"
    exposition.counter("iotgw_deliveries_queued_total", queued, stats.get("queued"), integration=name)
    for outcome in ("delivered", "expired", "dead"):
        exposition.counter(
            "iotgw_deliveries_total", "Deliveries that are over", stats.get(outcome), integration=name, outcome=outcome
        )  # fmt: skip
    for reason, count in stats.get("dropped", {}).items():
        exposition.counter(
            "iotgw_deliveries_dropped_total", "Deliveries given up by rule", count, integration=name, reason=reason
        )  # fmt: skip
    for state in ("inflight", "waiting", "retrying"):
        exposition.gauge(
            "iotgw_deliveries_open", "Deliveries that are not over", stats.get(state), integration=name, state=state
        )  # fmt: skip
    about = "Age of the oldest delivery that waits, in seconds"
    exposition.gauge("iotgw_deliveries_oldest_seconds", about, stats.get("oldestAge"), integration=name)
