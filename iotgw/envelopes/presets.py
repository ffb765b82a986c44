"""Envelopes that users choose by name: what ``http`` calls a profile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from msgspec import Meta

from iotgw.envelopes.envelope import PLAIN, Envelope
from iotgw.envelopes.sigfox import SigfoxEnvelope

HttpProfile = Annotated[
    Literal["none", "sigfox"],
    Meta(
        description="`sigfox`: bodies are SigFox's callbacks with `device`, `data` and `ack`; a downlink is "
        "offered when `ack` is true, and delivered when a callback with `infoCode` 0 says so."
    ),
]
HTTP_PROFILES: dict[str, Callable[[], Envelope]] = {"none": lambda: PLAIN, "sigfox": SigfoxEnvelope}
