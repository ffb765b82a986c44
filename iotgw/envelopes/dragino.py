"""Dragino NB-IoT and LTE-M nodes: their frames over any transport, and their TCP connections.

A frame names its device. The model comes from the settings or from the frame's layout (see
`iotgw.wire.dragino.guess`). Over TCP, a node connects, sends one frame, waits a moment for a downlink, and
closes. Nothing marks the frame's end: the format tells it, or a pause does (see `iotgw.wire.dragino.stream`).
The only answer to a frame is a downlink; nodes expect no other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from msgspec import Meta, Struct

from iotgw.core.model import Downlink, Metadata
from iotgw.envelopes.dialogue import Action, Actions, Close, Reachable, Submit, Wait, Write, at_close
from iotgw.envelopes.envelope import Command, Envelope, Malformed, Reading
from iotgw.wire.dragino import DraginoFrame, DraginoStream, Guesses, encode_downlink, metadata, parse
from iotgw.wire.dragino.downlink import Encoding
from iotgw.wire.framing import Events, Fault

PATIENCE = 3
"""Bytes of no known layout are taken as a frame after a pause that is this many times as long."""


class DraginoDevice(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What is set for one device, by its IMEI (G0: the last 12 digits)."""

    model: Annotated[
        str, Meta(description="Its model, if the frame doesn't tell; selects the converter.")
    ] = ""
    encoding: Annotated[Encoding | None, Meta(description="How `key` is written.")] = None


DraginoDevices = Annotated[
    dict[str, DraginoDevice],
    Meta(
        description="By IMEI: `model` and `encoding`. Several models' frames look alike; this tells them apart."
    ),
]
DraginoEncoding = Annotated[
    Encoding,
    Meta(
        description="Form of downlinks: `raw` bytes, `asciihex` text, or `text` (AT commands, newer firmware)."
    ),
]
DraginoModel = Annotated[str, Meta(description="Model of all nodes whose frames don't tell it.")]
"""Settings that this vendor has on every transport."""


class DraginoEnvelope(Envelope):
    """Nodes' frames, as bytes or as hexadecimal text. Remembers the guessed models of a bounded number of
    nodes.

    ``devices`` are known by their identity, ``model`` is that of all nodes whose frames don't tell it,
    ``encoding`` the form of downlinks.
    """

    def __init__(self, devices: Mapping[str, DraginoDevice], model: str, encoding: Encoding) -> None:
        self._devices = devices
        self._model = model
        self._encoding = encoding
        self._guesses = Guesses()

    def read(self, data: bytes, facts: Metadata, now_ms: int) -> Sequence[Reading | Malformed]:
        """See `Envelope.read`: a frame, or none."""
        frame = parse(data)
        if not isinstance(frame, DraginoFrame):
            return (Malformed(data, frame),)
        device = self._devices.get(frame.identity)
        model = device.model if device is not None and device.model else ""
        found = metadata(frame, model, self._model, self._guesses)
        found["receivedTime"] = now_ms
        return (Reading(frame.payload, found, frame.identity),)

    def write(self, item: Downlink, identity: str) -> Command:
        """See `Envelope.write`: in the encoding of the node."""
        device = self._devices.get(identity or item.device)
        encoding = device.encoding if device is not None and device.encoding else self._encoding
        return Command(encode_downlink(item.payload, encoding), content_type="")


class DraginoDialogue:
    """One node's TCP connection. ``pause`` is the silence, in seconds, that ends a frame of a known layout."""

    def __init__(self, envelope: DraginoEnvelope, pause: float) -> None:
        self._envelope = envelope
        self._pause = pause
        self._stream = DraginoStream()
        self._sent: list[Downlink] = []
        self._known: set[str] = set()

    @property
    def pending(self) -> int:
        """See `Dialogue.pending`."""
        return self._stream.pending

    def received(self, data: bytes, now_ms: int) -> Actions:
        """See `Dialogue.received`."""
        actions: list[Action] = [Wait(None), *self._take(self._stream.feed(data), now_ms)]
        if self._stream.pending:
            actions.append(Wait(self._pause if self._stream.is_whole else PATIENCE * self._pause))
        return actions

    def woke(self, now_ms: int) -> Actions:
        """See `Dialogue.woke`: the node fell silent."""
        return self._take(self._stream.pause(), now_ms)

    def ended(self, now_ms: int) -> Actions:
        """See `Dialogue.ended`."""
        return [Wait(None), *self._take(self._stream.close(), now_ms)]

    def answered(self, identity: str, items: tuple[Downlink, ...]) -> Actions:
        """See `Dialogue.answered`."""
        return self.command(identity, items)

    def command(self, identity: str, items: tuple[Downlink, ...]) -> Actions:
        """See `Dialogue.command`."""
        self._sent += items
        return [Write(self._envelope.write(item, identity).payload, (item,)) for item in items]

    def closed(self, is_clean: bool, is_heard: bool) -> Actions:
        """See `Dialogue.closed`."""
        sent, self._sent = self._sent, []
        return at_close(sent, is_clean, is_heard)

    def _take(self, events: Events, now_ms: int) -> list[Action]:
        actions: list[Action] = []
        for event in events:
            if isinstance(event, Fault):
                actions += Malformed(event.data, event.reason), Close()
                continue
            for read in self._envelope.read(event.data, {}, now_ms):
                if isinstance(read, Malformed):
                    actions += read, Close()
                    continue
                if read.identity not in self._known:
                    # while it listens, downlinks queued for it are sent at once
                    self._known.add(read.identity)
                    actions.append(Reachable(read.identity))
                actions.append(Submit(read))
        return actions
