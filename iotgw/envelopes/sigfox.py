"""SigFox's callbacks (``profile: sigfox`` of an ``http`` datasource): the device, and whether it waits for a
downlink.

A device that asks for a downlink (``ack``) gets one of 8 bytes in the answer to its callback. That is only an
offer: the network sends it some seconds later, and reports the outcome as ``infoCode`` in the callback
SERVICE/ACKNOWLEDGE (support.sigfox.com/docs/bidir, /docs/acknowledge).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from iotgw.core import plain_json
from iotgw.core.model import Downlink, Metadata
from iotgw.envelopes.envelope import Command, Envelope, Load, Malformed, Reading, Receipt

PAYLOAD = 8
"""Bytes of every downlink."""
ACKED = 0
"""The station has sent it (support.sigfox.com/docs/acknowledge)."""
PENDING = 5
"""Not over yet."""
OUTCOMES = (
    "acknowledged", "no answer", "invalid payload", "overrun of the downlinks", "network error", "pending",
    "no contract for downlinks", "too many requests", "base station reconfigured",
)  # fmt: skip
"""What an ``infoCode`` means, where SigFox sends no ``infoMessage``."""


class Callback(Struct, frozen=True, rename="camel"):
    """The fields of a callback. The user writes its template and uses these names."""

    device: Annotated[str, Meta(min_length=1, max_length=64)]
    ack: bool | str = False
    info_code: int | None = None
    info_message: str = ""

    @property
    def listens(self) -> bool:
        """Whether the answer may carry a downlink."""
        return self.ack is True or str(self.ack).lower() == "true"

    @property
    def reason(self) -> str:
        """What became of an offer, in words."""
        code = self.info_code or 0
        known = OUTCOMES[code] if 0 <= code < len(OUTCOMES) else "unknown"
        return f"SigFox: {self.info_message or known} (infoCode {code})"


class SigfoxEnvelope(Envelope):
    """Reads callbacks, and puts offers into the answers."""

    offers = True
    is_network = True

    def read(self, data: bytes, facts: Metadata, now_ms: int) -> Sequence[Reading | Receipt | Malformed]:
        """See `Envelope.read`: an uplink, or a receipt by its ``infoCode``."""
        try:
            callback: Callback = plain_json.decode(data, Callback, strict=False)
        except plain_json.NotJson as error:
            return (Malformed(data, f"expected {_EXPECTED}: {error}"),)
        if callback.info_code is None:
            return (Reading(data, {}, callback.device, callback.listens),)
        if callback.info_code == PENDING:
            return ()
        return (Receipt(callback.device, "sent" if callback.info_code == ACKED else "lost", callback.reason),)

    def write(self, item: Downlink, identity: str) -> Command:
        """See `Envelope.write`: the answer that carries one item; raises ValueError for other than 8 bytes."""
        return _answer({identity: _eight(item)})

    def load(self, items: Sequence[tuple[str, Downlink]]) -> Load:
        """See `Envelope.load`: one item for each device."""
        carried: dict[str, Downlink] = {}
        unfit: list[tuple[Downlink, str]] = []
        for device, item in items:
            try:
                _eight(item)
            except ValueError as reason:
                unfit.append((item, str(reason)))
            else:
                carried[device] = item
        command = _answer({device: item.payload for device, item in carried.items()}) if carried else None
        return Load(command, tuple(carried.values()), tuple(unfit))


_EXPECTED = 'a SigFox callback such as {"device": "{device}", "data": "{data}", "ack": {ack}}'


def _eight(item: Downlink) -> bytes:
    if len(item.payload) != PAYLOAD:
        raise ValueError(f"expected {PAYLOAD} bytes, as SigFox takes")
    return item.payload


def _answer(payloads: dict[str, bytes]) -> Command:
    body = {device: {"downlinkData": payload.hex()} for device, payload in payloads.items()}
    return Command(msgspec.json.encode(body), "application/json")
