"""Presets of targets that many have: a file of data each, from which an integration is made when it is added.

Adding a file ``*.toml`` is all that a further one takes. `iotgw.core.target_presets` says what is in it.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

from iotgw.core.target_presets import TargetPreset
from iotgw.core.validate import convert


@cache
def target_presets() -> dict[str, TargetPreset]:
    """The presets by their names."""
    return {
        path.stem: convert(tomllib.loads(path.read_text("utf-8")), TargetPreset, path.name)
        for path in sorted(Path(__file__).parent.glob("*.toml"))
    }
