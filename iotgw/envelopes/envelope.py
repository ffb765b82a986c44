"""The interface of every vendor's envelope: bytes in, readings and receipts out; downlinks in, commands out. No
I/O.

A transport hands over the bytes with what it knows about them, and gets values that say all it must do. It
knows no vendor. An envelope is stateless or has bounded state; the time is passed in.

Protocols with several steps and time-outs on one connection are in `iotgw.envelopes.dialogue`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from msgspec import Struct

from iotgw.core.model import Became, Downlink, Metadata
from iotgw.envelopes.api import PlatformApi


class Reading(Struct, frozen=True, gc=False):
    """One uplink as read by its vendor's envelope.

    ``payload`` is what converters get, ``facts`` what the envelope adds to the metadata. ``identity`` names the
    device that downlinks are for; empty if there is none to answer. ``listens`` is False if the answer to this
    uplink can't carry a downlink. ``key`` identifies the uplink: a retransmission has the same; empty if there
    is none.
    """

    payload: bytes
    facts: Metadata = {}
    identity: str = ""
    listens: bool = True
    key: tuple[str | int, ...] = ()

    @property
    def name(self) -> str:
        """The key as one text; empty if there is none."""
        return "/".join(map(str, self.key))

    def metadata(self, known: Metadata) -> Metadata:
        """The uplink's metadata. What the transport knows takes precedence over the envelope's facts, including
        the identity."""
        if self.identity:
            return {**self.facts, "identity": self.identity, **known}
        return {**self.facts, **known}


class Receipt(Struct, frozen=True):
    """What became of a downlink that was offered to a network.

    ``item`` is the attempt at a queue item (`iotgw.core.downlink_item.attempt_name`), if the network gives it; then only that is meant. Otherwise the
    receipt is for the latest item offered for ``device`` (by name or identity), or for the one that the network itself calls
    ``network``, as the answer to its call said. ``reason`` is one line.
    """

    device: str
    became: Became
    reason: str = ""
    item: str = ""
    network: str = ""


class Ignored(Struct, frozen=True):
    """A valid message that converters don't
    need. It is counted under the name ``why``, such as ``duplicates``. A retransmission has the ``key`` of its reading, so that it
    can get the same reply again."""

    why: str
    key: tuple[str | int, ...] = ()


class Happened(Struct, frozen=True):
    """Something happened to a device or its network, which is no reading: it joined, its battery is low, the network
    reports an error. ``kind`` is the network's word for it, ``device`` may be empty, ``detail`` are JSON values."""

    kind: str
    device: str = ""
    detail: dict[str, Any] = {}


class Asked(Struct, frozen=True):
    """A network asks for a downlink to a device, and takes it in the answer. ``message`` is what it sent, for `Envelope.answer`."""

    device: str
    message: Any


class Malformed(Struct, frozen=True):
    """Bytes that are no message of this vendor, and why in one line; ``facts`` are added to their metadata."""

    data: bytes
    reason: str
    facts: Metadata = {}


Event = Reading | Receipt | Happened | Ignored | Asked | Malformed


class Proof(Struct, frozen=True):
    """A request as its signature sees it: the query as it was sent, the value of a header (empty if there is none), and
    the body's bytes."""

    query: bytes
    header: Callable[[str], str]
    body: bytes


class Command(Struct, frozen=True, gc=False):
    """A downlink as it leaves, and where to.

    ``content_type`` is a media type; None is the item's own, and an empty text says nothing about it. ``topic``
    (MQTT), ``path`` and ``query`` (CoAP) take precedence over the datasource's settings; if empty, the settings
    apply. ``awaits_receipt`` is whether a network will report on it (MQTT); None is what `Envelope.offers` says.
    """

    payload: bytes
    content_type: str | None = None
    topic: str = ""
    path: str = ""
    query: dict[str, str] = {}
    awaits_receipt: bool | None = None


class Load(Struct, frozen=True):
    """The contents of one answer: its bytes (None if nothing fits), the items in them, and the items that this
    network can never take, each with the reason. All other items wait for the next answer."""

    command: Command | None
    carried: tuple[Downlink, ...] = ()
    unfit: tuple[tuple[Downlink, str], ...] = ()


class Envelope:
    """The envelope of devices without one: the bytes are the message. A vendor's envelope overrides what
    differs."""

    offers: bool = False
    """Whether a network takes downlinks here and reports on them by a `Receipt`. Then the request doesn't come
    from the device, and its answer is never held back for a downlink."""
    is_network = False
    """Whether a network server sends the messages. It is answered as soon as a message is durable, whatever a converter
    makes of it: otherwise it would send the message again."""
    gathers = 0.0
    """Seconds that a message is held before it is handed on, because the network delivers one frame several times."""
    keys_last = False
    """Whether a reading's key is that of no other one, ever: then a repetition is known after a restart, too. A counter since
    the device's last start isn't."""
    secret_headers: tuple[str, ...] = ()
    secret_parameters: tuple[str, ...] = ()
    """Headers and parameters of the query that never enter a message's metadata, besides those that are secret by their
    names."""
    needs_secret = False
    """Whether `object_to` needs a secret."""
    status = 0
    """The HTTP status of an answer that carries nothing; 0 leaves it to the transport."""
    api: PlatformApi | None = None
    """How downlinks are sent by calls of the platform's API."""
    addresses = False
    """Whether `write` names the topic of each downlink, so that settings need none."""

    def read(self, data: bytes, facts: Metadata, now_ms: int) -> Iterable[Event]:
        """Read bytes; returns an empty result if there is nothing to do. Never raises. What it returns is gone through once.

        ``facts`` is what the transport knows: the query, the topic, the address, and the ``identity`` if the
        sender has proved one. ``now_ms`` is the date of arrival in ms since 1970; it may jump.
        """
        return (Reading(data),)

    def object_to(self, proof: Proof, secret: str) -> str:
        """What is wrong with a request's signature, in words without any secret; empty if nothing is. Never raises."""
        return ""

    def write(self, item: Downlink, identity: str) -> Command:
        """A downlink for the device with this identity (may be empty). Raises ValueError, with a reason in one
        line, for one that can't be sent."""
        return Command(item.payload)

    def publish(self, item: Downlink, identity: str, topic: str) -> Command:
        """As `write`, over MQTT: ``topic`` is that of the device's last uplink."""
        return self.write(item, identity)

    def answer(self, asked: Asked, item: Downlink) -> tuple[Command, str]:
        """What answers a network that asked for a downlink, and what its receipt will call that (`Receipt.network`). Raises
        ValueError, with a reason in one line, for one that the network doesn't take."""
        raise ValueError("this network takes no downlinks in answers")

    def load(self, items: Sequence[tuple[str, Downlink]]) -> Load:
        """Choose what one answer carries of these items, each given with its device's identity: here the first
        that fits."""
        unfit: list[tuple[Downlink, str]] = []
        for identity, item in items:
            try:
                return Load(self.write(item, identity), (item,), tuple(unfit))
            except ValueError as reason:
                unfit.append((item, str(reason)))
        return Load(None, (), tuple(unfit))

    def forget(self, reading: Reading) -> None:
        """The gateway was full and did not accept this reading: its retransmission must count as new."""


PLAIN = Envelope()
