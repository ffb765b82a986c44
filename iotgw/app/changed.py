"""What happens to a device or a downlink is an event, and a record for integrations that want events."""

from __future__ import annotations

import msgspec

from iotgw.core.downlink_item import Item
from iotgw.core.model import Event, Kind, TelemetryRecord
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.devices import Trouble
from iotgw.core.ports.firmware import UpdateState
from iotgw.core.ports.intake import Severity
from iotgw.core.recorder import Recorder
from iotgw.core.times import DateMs
from iotgw.devices.watching import DeviceWatch
from iotgw.observe.events import EventLog
from iotgw.store.journal import GroupCommitJournal


def downlink_changed(events: EventLog, journal: GroupCommitJournal, event: Event, item: Item) -> None:
    """A downlink's state is an event, and a record for integrations that want events."""
    events.emit(event)
    body = msgspec.json.encode({"deviceName": item.device, "event": event.type, "downlink": item.view()})
    journal.emit(TelemetryRecord(0, 0, item.tenant, "", DateMs(event.ts), item.device, "", body, Kind.EVENT))


SAID: dict[tuple[Trouble, bool], tuple[str, Severity, str]] = {
    ("silent", True): ("device.silent", "warning", "nothing was heard of it for {limit:g} s"),
    ("silent", False): ("device.back", "info", "it is heard again"),
    ("battery", True): ("device.battery-low", "warning", "its battery is at {value:g}, below {limit:g}"),
    ("battery", False): ("device.battery-ok", "info", "its battery is no longer low"),
    ("signal", True): ("device.signal-weak", "warning", "its signal is at {value:g}, below {limit:g}"),
    ("signal", False): ("device.signal-ok", "info", "its signal is no longer weak"),
}
"""The event for what begins and ends to be wrong with a device: its type, how bad it is, and what is said."""


def device_changed(
    recorder: Recorder,
    journal: GroupCommitJournal,
    calendar: ICalendar,
    watch: DeviceWatch,
    what: Trouble,
    is_wrong: bool,
    value: float | None,
) -> None:
    """What is wrong with a device is an event, and a record for integrations that want events."""
    type_, severity, text = SAID[what, is_wrong]
    limit = watch.rules.limit(what)
    message = text.format(value=0.0 if value is None else value, limit=limit)
    name, tenant = watch.name, watch.tenant
    recorder.note(type_, "device", name, message, tenant, severity, device=name, value=value, limit=limit)
    said = {"deviceName": name, "event": type_, "message": message, "value": value, "limit": limit}
    body = msgspec.json.encode(said)
    journal.emit(TelemetryRecord(0, 0, watch.tenant, "", calendar.now_ms(), watch.name, "", body, Kind.EVENT))


def device_updated(
    recorder: Recorder,
    journal: GroupCommitJournal,
    calendar: ICalendar,
    tenant: str,
    job: str,
    file: str,
    state: UpdateState,
) -> None:
    """The end of a device's update is an event, and a record for integrations that want events."""
    type_, name = f"firmware.{state.phase}", state.device
    severity: Severity = "warning" if state.phase == "failed" else "info"
    message = f"{file}: {state.phase}" + (f", {state.reason}" if state.reason else "")
    recorder.note(
        type_, "device", name, message, tenant, severity, device=name, job=job, file=file, state=state.state,
        result=state.result, tries=state.tries,
    )  # fmt: skip
    said = {"deviceName": name, "event": type_, "message": message, "file": file, "job": job}
    body = msgspec.json.encode(said)
    journal.emit(TelemetryRecord(0, 0, tenant, "", calendar.now_ms(), name, "", body, Kind.EVENT))
