"""The delivery service: one cursor per integration."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import Interface

from iotgw.core.message_query import MessageQuery
from iotgw.core.model import Delivery, Message, Parked, TelemetryRecord
from iotgw.core.specs import IntegrationSpec


class IDelivery(Interface):
    """The delivery service as the pipeline uses it."""

    def feed(records: list[TelemetryRecord]) -> None:
        """These records are durable."""

    def room() -> bool:
        """False while an integration whose overflow is ``rejectNew`` is full."""

    def holding_up() -> list[str]:
        """The names of the integrations because of which `room` is False."""


class IDeliveries(Interface):
    """The delivery service as users see it. ``id`` is an integration's; NotFound is raised if it isn't
    running."""

    def validate(spec: IntegrationSpec) -> None:
        """Raise SettingsError if an integration of this spec could not run."""

    def deliveries(
        messages: Sequence[Message], ids: Collection[str] | None = None
    ) -> Deferred[list[list[Delivery]]]:
        """The deliveries of each message, per integration; for several outputs, the one that has got least far. With ``ids``, those to these
        integrations at least."""

    def narrowed(query: MessageQuery, state: str, ids: Sequence[str]) -> MessageQuery:
        """The query, narrowed to messages that may have a delivery in this state (as in `Delivery.state`; empty for any) to one of these
        integrations. Whether they have one, `deliveries` says."""

    def stats(id: str) -> dict[str, Any]:
        """The accounts and the state of an integration, as JSON."""

    def pause(id: str) -> Deferred[None]:
        """Send nothing until `resume`; fires when that is durable."""

    def resume(id: str) -> Deferred[None]:
        """Resume sending; fires when that is durable."""

    def drain(id: str) -> None:
        """Try everything that waits now, without waiting out any backoff."""

    def purge(id: str) -> Deferred[int]:
        """Drop everything that waits; fires with the number of dropped deliveries, once that is durable."""

    def seek(id: str, ts_ms: int) -> Deferred[None]:
        """Continue with messages received at or after a time: sends history again, or skips messages. Fires
        when the new position is durable."""

    def dead_letters(id: str, after: int = 0, limit: int = 100) -> Deferred[list[Parked]]:
        """Dead letters, by position."""

    def retry(id: str, seq: int | None = None) -> Deferred[None]:
        """Send one dead letter again, or all of them; fails with NotFound."""

    def dismiss(
        id: str, position: int | None = None, device: str = "", before_ms: int = 0, error: str = ""
    ) -> Deferred[int]:
        """Drop dead letters: the one at a position (fails with NotFound), or those of a device, received before a
        time and whose error contains a text; all where nothing is given. What is being sent again stays. Fires,
        once that is durable, with how many that were."""

    def check(id: str) -> Deferred[dict[str, Any]]:
        """Connect and authenticate without delivering anything; see `iotgw.core.ports.integrations.IIntegration.check`."""

    def test(id: str, record: TelemetryRecord | None = None) -> Deferred[dict[str, Any]]:
        """Send one test message now, which is not counted: a stored record, or a sample. ``{"ok", "detail", "exchanges"}``, the latter
        a list of what the target exchanged: ``{"request", "answer"}``."""
