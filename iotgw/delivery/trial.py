"""Sends one test message to a target at once, without counting it, and gathers what the target exchanges for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from twisted.internet.defer import Deferred

from iotgw.core.model import TelemetryRecord
from iotgw.core.parts import Part
from iotgw.core.ports.integrations import IIntegration
from iotgw.core.times import DateMs
from iotgw.core.verdict import Delivered, Verdict, unforeseen

MOST_SHOWN = 100
"""Exchanges of one test message that are shown; a message may be split into thousands of parts."""
LONGEST_SHOWN = 64 << 10
"""Characters of a request or an answer that are shown."""


class Shown(Struct, frozen=True):
    """What was sent, and what came back."""

    request: str
    answer: str


def sample(tenant: str, now_ms: DateMs) -> TelemetryRecord:
    """A test message of a device that doesn't exist, received at ``now_ms`` (milliseconds since 1970)."""
    body = (
        b'{"deviceName":"iotgw-test","deviceType":"default","attributes":{"test":true},'
        b'"telemetry":[{"ts":%d,"values":{"temperature":25.7,"humidity":69}}]}' % now_ms
    )
    return TelemetryRecord(0, 0, tenant, "", now_ms, "iotgw-test", "default", body)


class Trials:
    """The test messages of all integrations that are under way.

    Each gets a position that is negative, unlike any in the stream, and unique.
    """

    def __init__(self) -> None:
        self._count = 0
        self._open: dict[int, list[Shown]] = {}

    def show(self, record: TelemetryRecord, request: str, answer: str) -> None:
        """See `iotgw.core.ports.integrations.Show`. Of a record that is split, ``record`` is a part."""
        seq = record.whole.seq if isinstance(record, Part) else record.seq
        shown = self._open.get(seq)
        if shown is not None and len(shown) < MOST_SHOWN:
            shown.append(Shown(_short(request), _short(answer)))

    def try_out(self, target: IIntegration, record: TelemetryRecord) -> Deferred[dict[str, Any]]:
        """Send a record to a target. Fires with ``{"ok", "detail", "exchanges"}``."""
        done: Deferred[dict[str, Any]] = Deferred()
        self._count += 1
        number = -self._count
        exchanges = self._open[number] = []

        def settle(seqs: Sequence[int], verdict: Verdict) -> None:
            if not done.called:
                self._open.pop(number, None)
                good = isinstance(verdict, Delivered)
                said = verdict.response if isinstance(verdict, Delivered) else verdict.reason
                shown = [{"request": each.request, "answer": each.answer} for each in exchanges]
                done.callback({"ok": good, "detail": said, "exchanges": shown})

        try:
            target.send([replace(record, seq=number)], settle)
        except Exception as error:
            settle([number], unforeseen("sending", error))
        return done


def _short(text: str) -> str:
    more = len(text) - LONGEST_SHOWN
    return text if more <= 0 else f"{text[:LONGEST_SHOWN]}… ({more} characters more)"
