"""Envelopes that users choose by name: a profile in ``http``, a preset in ``mqtt``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from msgspec import Meta, Struct

from iotgw.envelopes.envelope import PLAIN, Envelope
from iotgw.envelopes.lobaro import LobaroTopics, lobaro_filters
from iotgw.envelopes.sigfox import SigfoxEnvelope

HttpProfile = Annotated[
    Literal["none", "sigfox"],
    Meta(
        description="`sigfox`: bodies are SigFox's callbacks with `device`, `data` and `ack`; a downlink is "
        "offered when `ack` is true, and delivered when a callback with `infoCode` 0 says so."
    ),
]
HTTP_PROFILES: dict[str, Callable[[], Envelope]] = {"none": lambda: PLAIN, "sigfox": SigfoxEnvelope}


class MqttPreset(Struct, frozen=True):
    """An envelope of an ``mqtt`` datasource, made from the setting ``prefix``, and its default topic
    filters."""

    envelope: Callable[[str], Envelope]
    filters: Callable[[str], list[str]]


MqttPresetName = Annotated[
    Literal["none", "lobaro"],
    Meta(description="`lobaro` subscribes to `<prefix>+/up/#`, and reads Lobaro's envelope and the DevEUI."),
]
MqttPrefix = Annotated[str, Meta(description="Beginning of Lobaro's topics.")]
MQTT_PRESETS: dict[str, MqttPreset] = {
    "none": MqttPreset(lambda prefix: PLAIN, lambda prefix: []),
    "lobaro": MqttPreset(LobaroTopics, lobaro_filters),
}
