"""What a datasource sees of the gateway."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from iotgw.core.model import Answer, Became, Downlink, Metadata, Output
from iotgw.core.proof import Proved

Reply = Callable[[Answer], None]
"""Called once with the answer to the device."""
Guard = Callable[[bytes, Sequence[Output]], str]
"""``guard(metadata, outputs)``: why an uplink may not have these outputs; empty if it may."""
Send = Callable[[tuple[Downlink, ...]], None]
"""Sends items at once."""
Severity = Literal["debug", "info", "warning", "error"]

Reason = Literal["key", "token", "credentials", "header", "identity", "site", "slow", "network", "device"]
"""Why: a routing key that nobody has, a wrong API token, a wrong password or token of a datasource, a required header that is
missing or wrong, a device that the sender may not be, a
request of another site's web page, one that took too long to come in, an address that a datasource doesn't allow, a device that nobody knows."""


class Record(Protocol):
    """Records what happened; see `IIntake.event`."""

    def __call__(self, type: str, message: str, severity: Severity = "info", **detail: Any) -> None:
        """``detail`` are JSON values."""


class IIntake(Interface):
    """What a datasource sees of the gateway; one per datasource, made by the pipeline.

    Many methods: those for uplinks, and one for each thing that may become of a downlink.
    """

    room: bool = Attribute("False when the gateway is full; a stream should stop reading")
    proves: bool = Attribute(
        "False; a datasource that checks what its senders prove sets it. Only then the metadata may say ``identityType``, "
        "``dtlsIdentity`` and ``fingerprint``, and ``identity`` counts as proved where ``identityType`` isn't ``none``"
    )
    guard: Guard | None = Attribute(
        "None, or a function that a datasource sets. It is called for each conversion with the metadata's JSON "
        "text and the `model.Output` items; a non-empty result makes the conversion fail"
    )

    sets_facts: bool = Attribute(
        "Whether a converter may state facts of a message's connection (`model.Answer.facts`): messages of one connection are "
        "then handed in one after another, each when the one before it is answered"
    )
    is_shared: bool = Attribute(
        "whether those who send here bring messages of many devices, so that none of these may hold up the others: what is beyond one device's limit is kept then"
    )
    sends_once: bool = Attribute(
        "False, unless a datasource sets it: True says that its senders don't send again what is refused"
    )
    never_waits: bool = Attribute(
        "False, unless a datasource sets it: True answers uplinks when they are durable, whatever its ``reply`` says"
    )

    def receive(
        payload: bytes,
        metadata: Metadata,
        answer: Reply,
        received_ms: int = 0,
        listens: bool = True,
        key: str = "",
    ) -> None:
        """Take an uplink: its bytes, a dict of JSON values, and what to call with the `model.Answer`.

        ``answer`` is called once, later in the reactor's thread, when the uplink is durable (or converted,
        where the datasource says so), or at once with BUSY, or with TOO_LARGE where the
        payload or the metadata is larger than the gateway takes. It must not raise. ``received_ms``: 0
        means now. ``listens``: False if the answer can't carry a downlink, so that none is taken from the
        queue.

        ``key`` tells this uplink from all others that this datasource ever had, and is the same when it is sent again: a
        platform's own key, or a broker's topic, partition and offset. It stands in the metadata as ``uplinkKey``. A
        second uplink with the key isn't stored: it is answered like the first one, with the same message id, as soon as
        that one is. One that was not taken (BUSY, TOO_LARGE) is none. The latest 32,768 keys of a datasource are known,
        after a restart if it asked for them with `recall`. Without a key, which is empty then, this costs nothing.
        """

    def recall() -> Deferred[None]:
        """Learn the keys of this datasource's latest uplinks from the journal, so that one that is sent again after a
        restart is known. A datasource that hands in keys waits for this in its ``start``, before it opens. It reads
        once in the life of a process, and never fails."""

    def receive_and_hold(payload: bytes, metadata: Metadata, answer: Reply, ttd: float) -> Callable[[], None]:
        """As `receive`, from a device that listens for ``ttd`` seconds: an answer without a downlink is held
        back for that time, in case one is queued. Returns the function to call if the device goes away; after
        that ``answer`` may not be called any more."""

    def reject(payload: bytes, metadata: Metadata, reason: str) -> None:
        """Keep invalid bytes as a failed message, with a reason in one line."""

    def when_room(callback: Callable[[], None]) -> None:
        """Call ``callback()`` once when there is room again (at once if there is)."""

    def event(type: str, message: str, severity: Severity = "info", **detail: Any) -> None:
        """Record what happened to this datasource; ``detail`` are JSON values."""

    def refuse(reason: Reason, peer: str, message: str) -> None:
        """A sender at the address ``peer`` was turned away. It is counted by ``reason`` (`Reason`) and
        recorded once for each peer, reason and minute; ``message`` says why, and repeats no secret."""

    def downlink_sent(downlink: Downlink) -> None:
        """This `model.Downlink` was sent; whether it arrived is not known yet."""

    def downlink_delivered(
        downlink: Downlink, is_certain: bool = True, result: Metadata | None = None
    ) -> None:
        """The transport confirmed this downlink. Not ``is_certain``: the transport did all that it can, but the
        message may still be lost, so an item that must be confirmed then waits for the device's own receipt. ``result``
        are JSON values: what the device answered, for the item's ``result``."""

    def downlink_carried_out(downlink: Downlink, result: Metadata | None = None) -> None:
        """The device has done what this downlink asks, and said so: it was successful. ``result`` is what it answered."""

    def downlink_lost(downlink: Downlink, reason: str, result: Metadata | None = None) -> None:
        """This downlink did not reach the device, or it can't take it now; it goes back into the queue."""

    def downlink_refused(downlink: Downlink, reason: str, result: Metadata | None = None) -> None:
        """The device will never take this downlink: it has failed."""

    def downlink_returned(downlink: Downlink) -> None:
        """This downlink did not fit this answer and waits for another one; this is not an attempt."""

    def downlink_offered(downlink: Downlink, network: str = "") -> None:
        """This downlink was handed to a network, whose receipt comes later by `downlink_confirmed`. ``network`` is what the
        network calls it, if its receipts name it so."""

    def downlink_confirmed(
        device: str, became: Became, reason: str = "", item: str = "", network: str = "", proved: Proved = ""
    ) -> Deferred[bool]:
        """A network's receipt for a downlink: for the one with the id ``item``, and no other, or for the one that the
        network calls ``network``; without either, for the latest of a device (by name or identity). ``proved`` is the
        device that its sender has proved to be. Fires with whether there is such a downlink, once what it says of it is durable;
        fails if that can't be written."""

    def downlink_waits(downlink: Downlink) -> bool:
        """Whether a downlink that was taken is still to be sent. A datasource that keeps one for a while asks before it
        sends it."""

    def wake_downlinks() -> None:
        """Hand out by `IPushes.push` what waits for this datasource's devices: it can be sent now."""

    def objection(device: str, proved: Proved = "") -> str:
        """Why a sender may not take a device's downlinks; empty if it may. ``proved`` is the device that it has proved to
        be. Uplinks need no such check: one of a device that its sender may not speak for ends as a failed message."""

    def identity_objection(identity: str, proved: Proved = "") -> str:
        """Why a sender may not go by an identity, because it is the name of a device with credentials; empty if it
        may. Uplinks end as failed messages here, too."""

    def downlinks(device: str, limit: int = 1, proved: Proved = "") -> Deferred[tuple[Downlink, ...]]:
        """Take up to ``limit`` queued downlinks for a device that can be reached now (late additions to an
        open session). There are none for a sender who may not speak for it."""

    def reachable(device: str, send: Send, proved: Proved = "") -> Callable[[], None]:
        """Report that ``device`` can be reached; returns a function that ends that. Nothing is sent to one who may
        not speak for it.

        ``send(downlinks)`` is called with `model.Downlink` items to send at once.
        """
