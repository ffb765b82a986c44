"""The platforms that types of datasources know, for users to choose from."""

from __future__ import annotations

from iotgw.core.ports.datasources import PresetAbout
from iotgw.envelopes.presets.choices import FILES, named
from iotgw.envelopes.presets.preset import Preset

_PROOFS = {"header": "header", "basic": "basic", "hook": "signature", "none": "none"}


def over_http() -> list[PresetAbout]:
    """Those that post."""
    return [_about(name, named(name), "http") for name in FILES]


def over_mqtt() -> list[PresetAbout]:
    """Those that publish to a broker."""
    return [_about(name, named(name), "mqtt") for name in FILES if named(name).form.topics]


def _about(name: str, preset: Preset, type_: str) -> PresetAbout:
    form = preset.form
    ways = ["mqtt"] if type_ == "mqtt" and preset.publish is not None else []
    if type_ == "http" and preset.api is not None:
        ways.append("api")
    if type_ == "http" and (form.answer.carries or form.answer.ask):
        ways.append("answer")
    needed = list(preset.api.needs) if preset.api is not None and type_ == "http" else []
    proof = _PROOFS[form.proof.way] if type_ == "http" else "none"
    return PresetAbout(
        name,
        form.title,
        type_,
        form.unverified,
        proof,
        ways,
        needed,
        form.setup.note if type_ == "http" else "",
    )
