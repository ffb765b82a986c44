"""What any store of devices does."""

from __future__ import annotations

from typing import Any

import msgspec

from iotgw.core.model import Kind, TelemetryRecord
from iotgw.core.ports.devices import IDevices, Owned, Seen, Troubled
from iotgw.core.times import DateMs
from iotgw.testing.contracts.base import Contract


def seen(
    name: str = "d1",
    attributes: dict[str, Any] | None = None,
    telemetry: list[tuple[int, dict[str, Any]]] | None = None,
    received_ms: int = 1000,
    tenant: str = "default",
    device_type: str = "t",
    body: bytes = b"",
    kind: Kind = Kind.TELEMETRY,
    shape: int = 0,
) -> TelemetryRecord:
    """A record of a device; ``telemetry`` are pairs of a time and values."""
    document = {
        "deviceName": name,
        "deviceType": device_type,
        "attributes": attributes or {},
        "telemetry": [{"ts": ts, "values": values} for ts, values in telemetry or ()],
    }
    return TelemetryRecord(
        1,
        1,
        tenant,
        "ds1",
        DateMs(received_ms),
        name,
        device_type,
        body or msgspec.json.encode(document),
        kind,
        shape,
    )


class DevicesContract(Contract[IDevices]):
    """For `IDevices`."""

    def get(self, name: str = "d1", tenant: str = "default") -> dict[str, Any]:
        """A device that is there."""
        found = self.wait(self.part.get(tenant, name))
        assert found is not None
        return found

    def names(self, after: str = "", limit: int = 99, text: str = "", tenant: str = "default") -> list[str]:
        """The names of the listed devices."""
        return [device["name"] for device in self.wait(self.part.list(tenant, after, limit, text))]

    def owners(self) -> list[Owned]:
        """Who owns what, in order."""
        found = self.wait(self.part.owners())
        return sorted(found)

    def test_a_device_is_known_with_its_state(self) -> None:
        values = {"t": 1.5, "o": {"a": [1]}}
        self.part.saw([seen(attributes={"fw": "1.2", "n": None}, telemetry=[(5, values)])])
        assert self.get() == {
            "name": "d1",
            "type": "t",
            "tenant": "default",
            "datasource": "ds1",
            "firstSeen": 1000,
            "lastSeen": 1000,
            "attributes": {"fw": "1.2", "n": None},
            "telemetry": {"t": {"ts": 5, "value": 1.5}, "o": {"ts": 5, "value": {"a": [1]}}},
        }
        assert self.wait(self.part.get("default", "d2")) is None
        assert self.wait(self.part.get("acme", "d1")) is None

    def later_records_change_the_state(self, between: Any) -> None:
        """Two records, and something between them."""
        first, second = {"fw": "1", "a": {"x": 1}}, {"fw": "2", "a": {"y": 2}}
        self.part.saw([seen(attributes=first, telemetry=[(5, {"t": 1, "h": 2})])])
        between()
        later = seen(attributes=second, telemetry=[(9, {"t": 3})], received_ms=3000, device_type="u")
        self.part.saw([later])
        device = self.get()
        assert list(device["attributes"]) == ["fw", "a"]
        assert device["attributes"] == {"fw": "2", "a": {"y": 2}}
        assert device["telemetry"] == {"t": {"ts": 9, "value": 3}, "h": {"ts": 5, "value": 2}}
        assert (device["firstSeen"], device["lastSeen"], device["type"]) == (1000, 3000, "u")

    def an_older_reading_changes_nothing(self, between: Any) -> None:
        """The later one first, and something between them."""
        self.part.saw([seen(telemetry=[(9, {"t": 3})])])
        between()
        self.part.saw([seen(telemetry=[(5, {"t": 1}), (4, {"new": 1})])])
        assert self.get()["telemetry"] == {"t": {"ts": 9, "value": 3}, "new": {"ts": 4, "value": 1}}

    def test_later_records_change_the_state(self) -> None:
        self.later_records_change_the_state(lambda: None)

    def test_later_records_change_the_state_over_a_restart(self) -> None:
        self.later_records_change_the_state(self.reopen)

    def test_an_older_reading_changes_nothing(self) -> None:
        self.an_older_reading_changes_nothing(lambda: None)

    def test_an_older_reading_changes_nothing_over_a_restart(self) -> None:
        self.an_older_reading_changes_nothing(self.reopen)

    def test_devices_are_listed_by_name(self) -> None:
        self.part.saw([seen(f"Dev-{n}") for n in range(9)] + [seen("x", tenant="acme")])
        assert self.names(limit=3) == ["Dev-0", "Dev-1", "Dev-2"]
        assert self.names(after="Dev-2", limit=2) == ["Dev-3", "Dev-4"]
        assert self.names(text="eV-5") == ["Dev-5"]
        assert self.names(tenant="acme") == ["x"]
        assert self.wait(self.part.count()) == 10

    def test_who_a_device_belongs_to_is_kept(self) -> None:
        self.part.own("default", "d1", "a", False)
        self.part.own("acme", "d1", "b", True)
        self.part.own("default", "d1", "c", True)
        assert self.owners() == [
            ("acme", "d1", "b", True),
            ("default", "d1", "c", True),
        ]
        self.reopen()
        assert len(self.wait(self.part.owners())) == 2

    def test_some_devices_are_read_by_name_as_they_are_one_by_one(self) -> None:
        self.part.saw(
            [seen(f"d{n}", telemetry=[(5, {"t": n})]) for n in range(3)] + [seen("d1", tenant="acme")]
        )
        found = self.wait(self.part.states("default", ["d2", "d0", "nobody"]))
        assert found == {name: self.get(name) for name in ("d0", "d2")}

    def test_every_device_is_told_with_when_it_was_heard_last(self) -> None:
        self.part.saw([seen("a", received_ms=1000, shape=7), seen("b", tenant="acme", device_type="u")])
        self.wait(self.part.count())
        self.part.saw([seen("a", received_ms=3000, shape=7)])
        self.reopen()
        found: list[Seen] = self.wait(self.part.seen())
        assert sorted(found) == [("acme", "b", "u", 1000), ("default", "a", "t", 3000)]

    def test_what_is_wrong_with_a_device_is_kept_until_it_is_over(self) -> None:
        self.part.trouble("default", "a", "silent", 5)
        self.part.trouble("default", "a", "battery", 6)
        self.part.trouble("default", "b", "signal", 7)
        self.reopen()
        self.part.trouble("default", "a", "silent", 0)
        self.part.trouble("default", "b", "signal", 8)
        found: list[Troubled] = self.wait(self.part.troubles())
        assert sorted(found) == [
            ("default", "a", "battery", 6),
            ("default", "b", "signal", 8),
        ]

    def test_of_a_device_that_is_forgotten_nothing_is_known_until_it_sends_again(self) -> None:
        self.part.saw([seen("a", attributes={"old": 1}, shape=3), seen("a", tenant="acme"), seen("b")])
        self.part.own("default", "a", "ds1", True)
        self.part.trouble("default", "a", "silent", 5)
        self.wait(self.part.forget("default", "a"))
        assert self.names() == ["b"]
        assert self.names(tenant="acme") == ["a"]
        assert (self.owners(), self.wait(self.part.troubles())) == ([], [])
        self.part.saw([seen("a", attributes={"new": 1}, received_ms=9000, shape=3)])
        device = self.get("a")
        assert (device["attributes"], device["firstSeen"]) == ({"new": 1}, 9000)

    def test_an_event_is_no_sign_of_life(self) -> None:
        self.part.saw([seen(kind=Kind.EVENT)])
        assert self.wait(self.part.get("default", "d1")) is None

    def test_a_body_of_another_form_is_a_sign_of_life_only(self) -> None:
        self.part.saw([seen(body=b'{"telemetry": "?"}')])
        assert self.get()["telemetry"] == {}
