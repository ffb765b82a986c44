"""What every vendor's envelope is: bytes in, readings and receipts out; downlinks in, commands out. No I/O.

A transport hands over what arrived with what it knows of it, and takes back values that say all it must do. It
knows no vendor. An envelope is stateless, or its state is bounded; the time is passed in.

A connection with a dialogue, with time-outs and commands in several steps, is in
`iotgw.envelopes.dialogue`.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from iotgw.core.model import Downlink, Metadata


class Reading(Struct, frozen=True, gc=False):
    """One uplink as its vendor's envelope has it.

    ``payload`` is what converters get, ``facts`` what the envelope adds to the metadata. ``identity`` names the
    device that downlinks are for; empty when nobody can be answered. ``listens`` is False when the answer to
    this uplink can carry no downlink. ``key`` is the uplink's own: its repetition has the same; empty where
    there is none.
    """

    payload: bytes
    facts: Metadata = {}
    identity: str = ""
    listens: bool = True
    key: tuple[str | int, ...] = ()

    def metadata(self, known: Metadata) -> Metadata:
        """The uplink's metadata. What the transport knows outranks what the envelope says, the identity too."""
        if self.identity:
            return {**self.facts, "identity": self.identity, **known}
        return {**self.facts, **known}


class Receipt(Struct, frozen=True):
    """What became of a downlink that was offered to a network.

    ``item`` is the queue item's id, where the network says it: that item is meant, and no other. Otherwise it is the
    latest that was offered for ``device`` (by name or identity). ``reason`` is one line.
    """

    device: str
    delivered: bool
    reason: str = ""
    item: str = ""


class Ignored(Struct, frozen=True):
    """A good message that is nothing to converters. It is counted under the name ``why``, such as ``duplicates``."""

    why: str


class Malformed(Struct, frozen=True):
    """Bytes that are no message of this vendor, and why in one line; ``facts`` are added to their metadata."""

    data: bytes
    reason: str
    facts: Metadata = {}


Event = Reading | Receipt | Ignored | Malformed


class Command(Struct, frozen=True, gc=False):
    """A downlink as it leaves, and where to.

    ``content_type`` is a media type; None is the item's own, and an empty text says nothing about it. ``topic``
    (MQTT), ``path`` and ``query`` (CoAP) outrank what the datasource's settings say; empty leaves it to them.
    """

    payload: bytes
    content_type: str | None = None
    topic: str = ""
    path: str = ""
    query: dict[str, str] = {}


class Load(Struct, frozen=True):
    """What one answer carries: its bytes (None when nothing fits), the items in them, and the items that this
    network never takes, each with the reason. All other items wait for the next answer."""

    command: Command | None
    carried: tuple[Downlink, ...] = ()
    unfit: tuple[tuple[Downlink, str], ...] = ()


class Envelope:
    """The envelope of a device that has none: the bytes are the message. A vendor's overrides what differs."""

    offers: bool = False
    """Whether a network takes downlinks here, and says by a `Receipt` what became of them. Its request isn't the
    device's: its answer is never held back until a downlink comes."""

    def read(self, data: bytes, facts: Metadata, now_ms: int) -> Sequence[Event]:
        """What these bytes say; nothing, if there is nothing to do. Never raises.

        ``facts`` is what the transport knows: the query, the topic, the address, and the ``identity`` if the
        sender has proved one. ``now_ms`` is the time of arrival in ms since 1970.
        """
        return (Reading(data),)

    def write(self, item: Downlink, identity: str) -> Command:
        """A downlink for the device with this identity (may be empty). Raises ValueError, with a reason in one
        line, for one that can't be sent."""
        return Command(item.payload)

    def load(self, items: Sequence[tuple[str, Downlink]]) -> Load:
        """What one answer carries of these items, each with the identity of its device: here the first that fits."""
        unfit: list[tuple[Downlink, str]] = []
        for identity, item in items:
            try:
                return Load(self.write(item, identity), (item,), tuple(unfit))
            except ValueError as reason:
                unfit.append((item, str(reason)))
        return Load(None, (), tuple(unfit))

    def forget(self, reading: Reading) -> None:
        """The gateway was full and did not take this reading: its repetition is welcome."""


PLAIN = Envelope()
