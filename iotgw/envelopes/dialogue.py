"""A vendor's protocol on one connection, without I/O: events go in, actions come out.

The transport (`iotgw.datasources.socket.dialogues`) carries out the actions in order. It answers each `Submit`
by `Dialogue.answered`, and each `Ask` by `Dialogue.command`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from iotgw.core.model import Downlink
from iotgw.envelopes.envelope import Malformed, Reading


class Submit(Struct, frozen=True):
    """Hand an uplink to the gateway."""

    reading: Reading


class Write(Struct, frozen=True):
    """Write bytes; ``items`` are the downlinks in them."""

    data: bytes
    items: tuple[Downlink, ...] = ()


class Confirmed(Struct, frozen=True):
    """The device has these downlinks."""

    items: tuple[Downlink, ...]


class Lost(Struct, frozen=True):
    """These downlinks did not reach the device."""

    items: tuple[Downlink, ...]
    reason: str


class Reachable(Struct, frozen=True):
    """From now on, downlinks queued for this device may be sent at once, by `Dialogue.command`."""

    identity: str


class Unreachable(Struct, frozen=True):
    """From now on they may not."""

    identity: str


class Ask(Struct, frozen=True):
    """Ask the queue for up to ``limit`` more downlinks; they follow those in ``besides``."""

    identity: str
    limit: int
    besides: tuple[Downlink, ...] = ()


class Wait(Struct, frozen=True):
    """Call `Dialogue.woke` after so many seconds; None is never. Replaces the previous one."""

    seconds: float | None


class Close(Struct, frozen=True):
    """Close the connection when everything is sent."""


Action = Submit | Malformed | Write | Confirmed | Lost | Reachable | Unreachable | Ask | Wait | Close
Actions = Sequence[Action]


class Dialogue(Protocol):
    """One connection's protocol. Nothing that a peer sends makes it raise."""

    @property
    def pending(self) -> int:
        """How many bytes wait for the rest of their frame."""

    def received(self, data: bytes, now_ms: int) -> Actions:
        """Bytes came; ``now_ms`` is the date in ms since 1970; it may jump."""

    def answered(self, identity: str, items: tuple[Downlink, ...]) -> Actions:
        """An uplink of this device is durable; ``items`` are to go out with the answer."""

    def command(self, identity: str, items: tuple[Downlink, ...]) -> Actions:
        """Downlinks that were asked for, or queued while the device can be reached; may be empty."""

    def woke(self, now_ms: int) -> Actions:
        """The time set by the last wake-up action has come."""

    def ended(self, now_ms: int) -> Actions:
        """No more bytes will come: the peer closed its side, or was silent for too long."""

    def closed(self, is_clean: bool, is_heard: bool) -> Actions:
        """The connection is gone. ``is_clean``: it was closed properly; ``is_heard``: the peer's TCP has
        acknowledged everything."""


def at_close(sent: Sequence[Downlink], is_clean: bool, is_heard: bool) -> Actions:
    """The outcome of downlinks without proof of arrival when their connection ends."""
    if not sent or (is_clean and not is_heard):
        return ()
    return (Confirmed(tuple(sent)),) if is_clean else (Lost(tuple(sent), "the connection broke"),)
