"""Sends one test message to a target at once, without counting it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace
from twisted.internet.defer import Deferred

from iotgw.core.model import TelemetryRecord
from iotgw.core.ports.integrations import IIntegration
from iotgw.core.times import DateMs
from iotgw.core.verdict import Delivered, Verdict, unforeseen


def sample(tenant: str, now_ms: DateMs) -> TelemetryRecord:
    """A test message of a device that doesn't exist, received at ``now_ms`` (milliseconds since 1970)."""
    body = (
        b'{"deviceName":"iotgw-test","deviceType":"default","attributes":{"test":true},'
        b'"telemetry":[{"ts":%d,"values":{"temperature":25.7,"humidity":69}}]}' % now_ms
    )
    return TelemetryRecord(0, 0, tenant, "", now_ms, "iotgw-test", "default", body)


def try_out(target: IIntegration, record: TelemetryRecord, number: int) -> Deferred[dict[str, Any]]:
    """Send a record to a target. Fires with ``{"ok", "detail"}``.

    ``number`` stands for its position. It must be negative, unlike any position in the stream, and unique among the
    trials under way."""
    done: Deferred[dict[str, Any]] = Deferred()

    def settle(seqs: Sequence[int], verdict: Verdict) -> None:
        if not done.called:
            good = isinstance(verdict, Delivered)
            said = verdict.response if isinstance(verdict, Delivered) else verdict.reason
            done.callback({"ok": good, "detail": said})

    try:
        target.send([replace(record, seq=number)], settle)
    except Exception as error:
        settle([number], unforeseen("sending", error))
    return done
