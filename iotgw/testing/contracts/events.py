"""What any record of events does."""

from __future__ import annotations

from typing import Any

from iotgw.core.model import Event
from iotgw.core.ports.events import IEvents
from iotgw.testing.contracts.base import Contract


def happened(number: int, source: str = "datasource", type: str = "started", **more: Any) -> Event:
    """An event at the time ``number``, of the thing ``n{number}``."""
    return Event(number, type, source, f"n{number}", "text", **more)


class EventsContract(Contract[IEvents]):
    """For `IEvents`."""

    def names(
        self, before: int = 0, limit: int = 100, tenant: str = "default", **conditions: Any
    ) -> list[str]:
        """The names of the events that are found."""
        return [each.name for _, each in self.wait(self.part.query(tenant, before, limit, **conditions))]

    def test_events_are_found_newest_first_with_all_they_held(self) -> None:
        full = Event(
            1, "failed", "datasource", "coap", "port taken", severity="error", device="d", detail={"port": 1}
        )
        self.part.emit(full)
        self.part.emit(happened(2))
        (second, first) = self.wait(self.part.query("default", 0, 10))
        assert first[1] == full
        assert second[1].name == "n2"
        assert first[0] < second[0]

    def test_events_are_filtered_and_paged(self) -> None:
        for number in range(6):
            source = "integration" if number % 2 else "datasource"
            self.part.emit(happened(number, source, f"t{number % 3}"))
        self.part.emit(happened(9, tenant="north"))
        assert self.names() == ["n5", "n4", "n3", "n2", "n1", "n0"]
        assert self.names(source="integration") == ["n5", "n3", "n1"]
        assert self.names(type="t0") == ["n3", "n0"]
        assert self.names(name="n4") == ["n4"]
        assert self.names(limit=2) == ["n5", "n4"]
        ids = [id for id, _ in self.wait(self.part.query("default", 0, 2))]
        assert self.names(before=ids[-1], limit=2) == ["n3", "n2"]
        assert self.names(tenant="north") == ["n9"]

    def test_events_outlast_a_restart(self) -> None:
        for number in range(50):
            self.part.emit(happened(number))
        self.reopen()
        assert len(self.names()) == 50
        assert self.part.dropped == 0
