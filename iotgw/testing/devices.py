"""`IDevices` in a dict."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from iotgw.core.model import Kind, TelemetryRecord
from iotgw.core.ports.devices import IDevices, Owned, Seen, Trouble, Troubled


@implementer(IDevices)
class MemoryDevices:
    """Devices with their last state."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str], dict[str, Any]] = {}
        """``(tenant, name)`` → the device as the API shows it."""
        self.owned: dict[tuple[str, str], tuple[str, bool]] = {}
        """``(tenant, name)`` → what `own` recorded."""
        self.troubled: dict[tuple[str, str, Trouble], int] = {}
        """``(tenant, name, what)`` → since when."""

    def saw(self, records: builtins.list[TelemetryRecord]) -> None:
        """See `IDevices.saw`."""
        for record in records:
            if record.kind is not Kind.EVENT:
                self._saw(record)

    def _saw(self, record: TelemetryRecord) -> None:
        at_ms = record.received_ms
        device = self.known.setdefault(
            (record.tenant, record.device_name),
            {
                "name": record.device_name, "type": record.device_type, "tenant": record.tenant,
                "datasource": record.datasource, "firstSeen": at_ms, "lastSeen": at_ms,
                "attributes": {}, "telemetry": {},
            },
        )  # fmt: skip
        if at_ms >= device["lastSeen"]:
            device |= {"lastSeen": at_ms, "type": record.device_type, "datasource": record.datasource}
        device["firstSeen"] = min(device["firstSeen"], at_ms)
        try:
            body = msgspec.json.decode(record.body)
            device["attributes"] |= body.get("attributes", {})
            for point in body.get("telemetry", ()):
                self._point(device["telemetry"], point["ts"], point["values"])
        except (msgspec.DecodeError, TypeError, KeyError, AttributeError):
            return  # a body of another form is a sign of life only

    @staticmethod
    def _point(known: dict[str, Any], ts: int, values: dict[str, Any]) -> None:
        for key, value in values.items():
            if key not in known or known[key]["ts"] <= ts:
                known[key] = {"ts": ts, "value": value}

    def own(self, tenant: str, name: str, datasource: str, has_proved: bool) -> None:
        """See `IDevices.own`."""
        self.owned[tenant, name] = datasource, has_proved

    def owners(self) -> Deferred[builtins.list[Owned]]:
        """See `IDevices.owners`."""
        return succeed([(*key, *owned) for key, owned in self.owned.items()])

    def states(self, tenant: str, names: Sequence[str]) -> Deferred[dict[str, dict[str, Any]]]:
        """See `IDevices.states`."""
        return succeed({name: self.known[tenant, name] for name in names if (tenant, name) in self.known})

    def forget(self, tenant: str, name: str) -> Deferred[None]:
        """See `IDevices.forget`."""
        self.known.pop((tenant, name), None)
        self.owned.pop((tenant, name), None)
        for key in [key for key in self.troubled if key[:2] == (tenant, name)]:
            del self.troubled[key]
        return succeed(None)

    def trouble(self, tenant: str, name: str, what: Trouble, since_ms: int) -> None:
        """See `IDevices.trouble`."""
        self.troubled[tenant, name, what] = since_ms
        if not since_ms:
            del self.troubled[tenant, name, what]

    def troubles(self) -> Deferred[builtins.list[Troubled]]:
        """See `IDevices.troubles`."""
        return succeed([(*key, since_ms) for key, since_ms in self.troubled.items()])

    def seen(self) -> Deferred[builtins.list[Seen]]:
        """See `IDevices.seen`."""
        return succeed([(*key, each["type"], each["lastSeen"]) for key, each in self.known.items()])

    def get(self, tenant: str, name: str) -> Deferred[dict[str, Any] | None]:
        """See `IDevices.get`."""
        return succeed(self.known.get((tenant, name)))

    def list(
        self, tenant: str, after: str, limit: int, text: str = ""
    ) -> Deferred[builtins.list[dict[str, Any]]]:
        """See `IDevices.list`."""
        found = sorted(
            name
            for owner, name in self.known
            if owner == tenant and name > after and text.lower() in name.lower()
        )
        return succeed([self.known[tenant, name] for name in found[:limit]])

    def count(self) -> Deferred[int]:
        """See `IDevices.count`."""
        return succeed(len(self.known))
