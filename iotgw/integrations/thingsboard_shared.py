"""Shared attributes of ThingsBoard's devices: what changed while nobody listened is found by asking for them."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import msgspec

MOST_DEVICES = 100_000
MOST_KEYS = 1000
"""Keys of a device; of more, those that changed longest ago are forgotten, and are new when they come again."""
Digests = dict[str, dict[str, str]]
"""By device and key: the digest of the value that was queued last."""


class KnownAttributes:
    """What was queued of each device's shared attributes, as digests. ``known`` is what an earlier process knew."""

    def __init__(self, known: Digests | None) -> None:
        self.digests = known or {}

    def changed(self, device: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Those of some values that differ from what was queued."""
        before = self.digests.get(device, {})
        return {key: value for key, value in values.items() if before.get(key) != _digest(value)}

    def learn(self, device: str, values: Mapping[str, Any]) -> None:
        """These values were queued."""
        new = {key: _digest(value) for key, value in self.changed(device, values).items()}
        if not new:
            return
        known = {key: digest for key, digest in self.digests.pop(device, {}).items() if key not in new}
        known |= new
        self.digests[device] = known if len(known) <= MOST_KEYS else dict([*known.items()][-MOST_KEYS:])
        if len(self.digests) > MOST_DEVICES:
            del self.digests[next(iter(self.digests))]


def _digest(value: Any) -> str:
    return blake2b(msgspec.json.encode(value, order="sorted"), digest_size=6).hexdigest()
