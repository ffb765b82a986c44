"""What users choose by name: a preset in ``http`` and ``mqtt``, a profile in ``http``.

Each file ``*.toml`` of this package is a preset. Adding one is all that a further platform takes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from iotgw.envelopes.envelope import PLAIN, Envelope
from iotgw.envelopes.lobaro import LobaroTopics, lobaro_filters
from iotgw.envelopes.presets.envelope import Gets, PresetEnvelope
from iotgw.envelopes.presets.form import PresetForm
from iotgw.envelopes.presets.preset import Preset, parse
from iotgw.envelopes.sigfox import SigfoxEnvelope

NONE, CUSTOM = "none", "custom"
FILES = {path.stem: path for path in sorted(Path(__file__).parent.glob("*.toml"))}
"""The presets that come with the gateway."""

Custom = Annotated[
    PresetForm | str | None,
    Meta(description='A preset of your own (`preset = "custom"`): TOML text, or the same as a table.'),
]
ConverterGets = Annotated[
    Gets,
    Meta(
        description="What converters get of a preset's messages. `auto`: ThingsBoard's converters get the whole message, "
        "those of the other dialects the device's bytes. `envelope`, `payload`: all get the one or the other."
    ),
]
HttpPresetName = Annotated[
    str,
    Meta(description="The platform that posts here, `custom` or `none`.", examples=[NONE, *FILES, CUSTOM]),
]
BrokerPresetName = Annotated[
    str,
    Meta(
        description="The platform whose messages these are, `custom` or `none`.",
        examples=[NONE, *FILES, CUSTOM],
    ),
]
MqttPresetName = Annotated[
    str,
    Meta(
        description="The platform that publishes, `custom` or `none`. `lobaro` subscribes to `<prefix>+/up/#`, and reads "
        "Lobaro's envelope and the DevEUI.",
        examples=[NONE, "lobaro", *FILES, CUSTOM],
    ),
]
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


MqttPrefix = Annotated[str, Meta(description="Beginning of Lobaro's topics.")]
MQTT_PRESETS: dict[str, MqttPreset] = {
    "none": MqttPreset(lambda prefix: PLAIN, lambda prefix: []),
    "lobaro": MqttPreset(LobaroTopics, lobaro_filters),
}
"""Presets over MQTT that no table can describe: Lobaro's envelope is CBOR."""


@cache
def named(name: str) -> Preset:
    """A preset that comes with the gateway; raises KeyError."""
    return Preset(parse(FILES[name].read_text("utf-8")))


def chosen(name: str, custom: PresetForm | str | None) -> Preset | None:
    """The preset that settings choose; None for ``none``. Raises ValueError."""
    if (custom is not None) is not (name == CUSTOM):
        raise ValueError('custom: expected a preset, together with preset = "custom"')
    if custom is not None:
        try:
            return Preset(parse(custom) if isinstance(custom, str) else custom)
        except ValueError as error:
            raise ValueError(f"custom: {error}") from error
    if name == NONE:
        return None
    if name not in FILES:
        raise ValueError(f"preset: expected one of {', '.join((NONE, *FILES, CUSTOM))}, got {name!r}")
    return named(name)


def to_type_in(
    name: str, custom: PresetForm | str | None, url: str
) -> tuple[dict[str, str], str, str] | None:
    """What a user types in on the platform's side for a datasource at a URL: fields by their names, a note, and the header that
    proves who sends (empty if the platform has another way). None without a preset. Raises ValueError."""
    preset = chosen(name, custom)
    if preset is None:
        return None
    setup, proof = preset.form.setup, preset.form.proof
    fields = {field: text.replace("{url}", url) for field, text in setup.fields.items()}
    return fields, setup.note, proof.header if proof.way == "header" else ""


def http_envelope(name: str, custom: PresetForm | str | None, gets: Gets, profile: str) -> Envelope:
    """The envelope of an ``http`` datasource with these settings. Raises ValueError."""
    preset = chosen(name, custom)
    if preset is None:
        return HTTP_PROFILES[profile]()
    if profile != NONE:
        raise ValueError("profile: expected none beside a preset")
    return PresetEnvelope(preset, gets)


def broker_envelope(name: str, custom: PresetForm | str | None, gets: Gets) -> Envelope:
    """The envelope of a datasource that pulls from a broker and sends nothing to devices. Raises ValueError."""
    preset = chosen(name, custom)
    return PLAIN if preset is None else PresetEnvelope(preset, gets)


def mqtt_envelope(name: str, custom: PresetForm | str | None, gets: Gets, prefix: str) -> Envelope:
    """The envelope of an ``mqtt`` datasource with these settings. Raises ValueError."""
    if name in MQTT_PRESETS and custom is None:
        return MQTT_PRESETS[name].envelope(prefix)
    preset = chosen(name, custom)
    return PLAIN if preset is None else PresetEnvelope(preset, gets, publishes=True)


def mqtt_filters(name: str, custom: PresetForm | str | None, prefix: str, username: str) -> list[str]:
    """The topic filters of a preset. Raises ValueError."""
    if name in MQTT_PRESETS and custom is None:
        return MQTT_PRESETS[name].filters(prefix)
    preset = chosen(name, custom)
    if preset is None:
        return []
    return [topic.replace("{username}", username or "+") for topic in preset.form.topics]
