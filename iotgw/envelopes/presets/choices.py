"""What users choose by name: a preset in ``http`` and ``mqtt``, a profile in ``http``.

Each file ``*.toml`` of this package is a preset. Adding one is all that a further platform takes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path
from typing import Annotated, Literal
from weakref import WeakValueDictionary

import msgspec
from msgspec import Meta, Struct

from iotgw.envelopes.envelope import PLAIN, Envelope
from iotgw.envelopes.lobaro import LobaroTopics, lobaro_filters
from iotgw.envelopes.presets.aws_iot import SHADOWS, AwsIotTopics, alpn
from iotgw.envelopes.presets.envelope import Gets, Names, PresetEnvelope
from iotgw.envelopes.presets.form import PresetForm
from iotgw.envelopes.presets.preset import LONGEST, Preset, parse
from iotgw.envelopes.presets.watson import APPLICATION, WatsonTopics
from iotgw.envelopes.presets.watson import FILTERS as WATSON_FILTERS
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
DeviceName = Annotated[
    Names,
    Meta(
        description="What a preset's messages call their device (`deviceName`). `name`: as it is called on the platform. `identity`: by its DevEUI, "
        "or what else the platform tells its devices apart by."
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
        "Lobaro's envelope and the DevEUI; `aws-iot` and `ibm-watson` have pages of their own.",
        examples=[NONE, "lobaro", "aws-iot", "ibm-watson", *FILES, CUSTOM],
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


class MqttChoice(Struct, frozen=True):
    """What an ``mqtt`` datasource's settings say of its preset; ``topics`` are the filters that they name."""

    name: str = NONE
    custom: PresetForm | str | None = None
    gets: Gets = "auto"
    names: Names = "name"
    prefix: str = ""
    topics: list[str] = []
    username: str = ""
    client_id: str = ""


class MqttPreset(Struct, frozen=True):
    """An envelope of an ``mqtt`` datasource, its default topic filters, and what its broker asks of a connection.

    ``tls``: the broker has no other way in. ``highest_qos`` is the broker's. ``alpn(port, has_certificate)`` is what to ask
    for in TLS. ``object_to(choice)`` is what is wrong with the settings, in words; empty if nothing is.
    """

    envelope: Callable[[MqttChoice], Envelope]
    filters: Callable[[MqttChoice], list[str]]
    tls: bool = False
    highest_qos: int = 2
    alpn: Callable[[int, bool], str] = lambda port, has_certificate: ""
    object_to: Callable[[MqttChoice], str] = lambda choice: ""


def _of_watson(choice: MqttChoice) -> str:
    if APPLICATION.fullmatch(choice.client_id) is None:
        return "clientId: expected a:organisation:application"
    return ""


MqttPrefix = Annotated[str, Meta(description="Beginning of Lobaro's topics.")]
MQTT_PRESETS: dict[str, MqttPreset] = {
    "none": MqttPreset(lambda choice: PLAIN, lambda choice: []),
    "lobaro": MqttPreset(
        lambda choice: LobaroTopics(choice.prefix), lambda choice: lobaro_filters(choice.prefix)
    ),
    "aws-iot": MqttPreset(
        lambda choice: AwsIotTopics(choice.topics, choice.gets == "envelope"),
        lambda choice: SHADOWS,
        tls=True,
        highest_qos=1,
        alpn=alpn,
    ),
    "ibm-watson": MqttPreset(
        lambda choice: WatsonTopics(), lambda choice: WATSON_FILTERS, tls=True, object_to=_of_watson
    ),
}
"""Presets over MQTT that no table can describe: Lobaro's envelope is CBOR, and the others' messages are of any kind."""


@cache
def named(name: str) -> Preset:
    """A preset that comes with the gateway; raises KeyError."""
    return Preset(parse(FILES[name].read_text("utf-8")))


_in_use: WeakValueDictionary[str | bytes, Preset] = WeakValueDictionary()


@lru_cache(maxsize=128)
def _compiled(said: str | bytes) -> Preset:
    """A preset of TOML text or JSON. It takes milliseconds, and settings are looked at each time when they are saved, opened or shown: so the
    last ones are remembered, and all that a datasource runs with. Raises ValueError."""
    found = _in_use.get(said)
    if found is None:
        if len(said) > LONGEST:
            raise ValueError(f"expected at most {LONGEST} characters, got {len(said)}")
        form = parse(said) if isinstance(said, str) else msgspec.json.decode(said, type=PresetForm)
        found = _in_use[said] = Preset(form)
    return found


def chosen(name: str, custom: PresetForm | str | None) -> Preset | None:
    """The preset that settings choose; None for ``none``. Raises ValueError."""
    if (custom is not None) is not (name == CUSTOM):
        raise ValueError('custom: expected a preset, together with preset = "custom"')
    if custom is not None:
        try:
            return _compiled(custom if isinstance(custom, str) else msgspec.json.encode(custom))
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


def http_envelope(
    name: str, custom: PresetForm | str | None, gets: Gets, profile: str, names: Names = "name"
) -> Envelope:
    """The envelope of an ``http`` datasource with these settings. Raises ValueError."""
    preset = chosen(name, custom)
    if preset is None:
        _expect_no_names(names)
        return HTTP_PROFILES[profile]()
    if profile != NONE:
        raise ValueError("profile: expected none beside a preset")
    return PresetEnvelope(preset, gets, names=names)


def broker_envelope(
    name: str, custom: PresetForm | str | None, gets: Gets, names: Names = "name"
) -> Envelope:
    """The envelope of a datasource that pulls from a broker and sends nothing to devices. Raises ValueError."""
    preset = chosen(name, custom)
    if preset is None:
        _expect_no_names(names)
        return PLAIN
    return PresetEnvelope(preset, gets, names=names)


def _expect_no_names(names: Names) -> None:
    if names != "name":
        raise ValueError(f"deviceName: expected a platform's preset with {names!r}")


def mqtt_preset(choice: MqttChoice) -> MqttPreset:
    """The preset of an ``mqtt`` datasource with these settings. Raises ValueError."""
    if choice.name in MQTT_PRESETS and choice.custom is None:
        _expect_no_names(choice.names)
        return MQTT_PRESETS[choice.name]
    preset = chosen(choice.name, choice.custom)
    if preset is None:
        return MQTT_PRESETS[NONE]
    return MqttPreset(
        lambda choice: PresetEnvelope(preset, choice.gets, publishes=True, names=choice.names),
        lambda choice: [topic.replace("{username}", choice.username or "+") for topic in preset.form.topics],
    )
