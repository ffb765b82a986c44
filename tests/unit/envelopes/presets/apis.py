"""What users say of platforms' APIs, for tests."""

from __future__ import annotations

from iotgw.envelopes.presets.choices import named

NOW_MS = 1_452_522_480_333
SERVER = "https://ns.example"


def settings(preset: str, **more: str) -> dict[str, str]:
    """Something for each name that a preset asks for."""
    api = named(preset).api
    assert api is not None
    return {"loginServer": SERVER, **{name: f"a-{name}" for name in api.needs}, "server": SERVER, **more}
