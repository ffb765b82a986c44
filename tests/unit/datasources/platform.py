"""A network that no transport knows: its envelope has all that the seam carries."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from iotgw.core.model import Downlink, Metadata
from iotgw.envelopes.envelope import Command, Envelope, Event, Ignored, Load, Malformed, Reading, Receipt


class Platform(Envelope):
    """A body is a JSON array of ``{"device", "data"}``, ``{"receipt", "ok"}`` or ``{"join"}``; a downlink is at
    most 4 bytes, in an answer as many as there are."""

    offers = True

    def read(self, data: bytes, facts: Metadata, now_ms: int) -> Sequence[Event]:
        try:
            reports = msgspec.json.decode(data, type=list[dict])
        except msgspec.DecodeError:
            return (Malformed(data, "expected an array of reports"),)
        events: list[Event] = []
        for report in reports:
            if "device" in report:
                listens = bool(report.get("listens", True))
                facts = {"counter": report.get("n", 0)}
                events.append(Reading(report["data"].encode(), facts, report["device"], listens))
            elif "receipt" in report:
                events.append(
                    Receipt("", "delivered" if report["ok"] else "lost", "told so", report["receipt"])
                )
            else:
                events.append(Ignored("joins"))
        return events

    def write(self, item: Downlink, identity: str) -> Command:
        if len(item.payload) > 4:
            raise ValueError("expected at most 4 bytes")
        return Command(
            item.payload.hex().encode(), "text/plain", f"down/{identity}", f"to/{identity}", {"p": "7"}
        )

    def load(self, items: Sequence[tuple[str, Downlink]]) -> Load:
        fit = [(identity, item) for identity, item in items if len(item.payload) <= 4]
        unfit = tuple((item, "expected at most 4 bytes") for _, item in items if len(item.payload) > 4)
        body = {identity: item.payload.hex() for identity, item in fit}
        command = Command(msgspec.json.encode(body), "application/json") if fit else None
        return Load(command, tuple(item for _, item in fit), unfit)
