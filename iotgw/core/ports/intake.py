"""What a datasource sees of the gateway."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from iotgw.core.model import Answer, Downlink, Metadata, Output

Reply = Callable[[Answer], None]
"""Called once with what the device is told."""
Guard = Callable[[bytes, Sequence[Output]], str]
"""``guard(metadata, outputs)``: why a conversion's outputs may not stand for this uplink; empty when they may."""
Send = Callable[[tuple[Downlink, ...]], None]
"""Sends items that leave now."""
Severity = Literal["debug", "info", "warning", "error"]


class Record(Protocol):
    """Records what happened; see `IIntake.event`."""

    def __call__(self, type: str, message: str, severity: Severity = "info", **detail: Any) -> None:
        """``detail`` are JSON values."""


class IIntake(Interface):
    """What a datasource sees of the gateway; one per datasource, made by the pipeline."""

    room: bool = Attribute("False when the gateway is full; a stream should stop reading")
    guard: Guard | None = Attribute(
        "None, or what a datasource sets: it is asked of each conversion, with the metadata's JSON text and the "
        "`model.Output` items; a text that is not empty makes the conversion fail"
    )

    def receive(
        payload: bytes, metadata: Metadata, answer: Reply, received_ms: int = 0, listens: bool = True
    ) -> None:
        """Take an uplink: its bytes, a dict of JSON values, and what to call with the `model.Answer`.

        ``answer`` is called once, later in the reactor's thread, when the uplink is durable (or converted,
        where the datasource says so), or at once with BUSY, or with TOO_LARGE where the
        payload or the metadata is larger than the gateway takes. It must not raise. ``received_ms``: 0
        means now. ``listens``: False when the answer can carry no downlink, so that none is taken from the queue.
        """

    def receive_and_hold(payload: bytes, metadata: Metadata, answer: Reply, ttd: float) -> Callable[[], None]:
        """As `receive`, of a device that listens for ``ttd`` seconds: an answer that would carry no downlink is
        held back so long for one that is queued meanwhile. Returns what to call when the device went away;
        ``answer`` may not be called any more then."""

    def reject(payload: bytes, metadata: Metadata, reason: str) -> None:
        """Keep bytes that can't be an uplink as a failed message, with a reason in one line."""

    def when_room(callback: Callable[[], None]) -> None:
        """Call ``callback()`` once when there is room again (at once if there is)."""

    def event(type: str, message: str, severity: Severity = "info", **detail: Any) -> None:
        """Record what happened to this datasource; ``detail`` are JSON values."""

    def downlink_sent(downlink: Downlink) -> None:
        """Bytes of this `model.Downlink` left; whether they arrived is not known yet."""

    def downlink_delivered(downlink: Downlink, is_certain: bool = True) -> None:
        """The transport confirmed this downlink. Not ``is_certain``: it did all that it can, but an answer may
        still be lost; an item that must be confirmed waits for the device's own receipt then."""

    def downlink_lost(downlink: Downlink, reason: str) -> None:
        """This downlink did not reach the device; it goes back into the queue."""

    def downlink_returned(downlink: Downlink) -> None:
        """This downlink could not go with this answer, and goes with another; that is no attempt."""

    def downlink_offered(downlink: Downlink) -> None:
        """This downlink was handed to a network that says later, in `downlink_confirmed`, what became of it."""

    def downlink_confirmed(device: str, delivered: bool, reason: str = "", item: str = "") -> Deferred[bool]:
        """What became of a downlink that was offered to a network: of the one with the id ``item``, and of no other;
        without an id, of the latest for a device (by name or identity). Fires with whether there is such a one."""

    def downlinks(device: str, limit: int = 1) -> Deferred[tuple[Downlink, ...]]:
        """Take up to ``limit`` queued downlinks for a device that can be reached now (late additions to an
        open session)."""

    def reachable(device: str, send: Send) -> Callable[[], None]:
        """Say that ``device`` can be reached until the function that this returns is called.

        ``send(downlinks)`` is called with `model.Downlink` items that should leave at once.
        """
