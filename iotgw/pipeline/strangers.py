"""What a datasource does with messages of devices that nobody knows: it has them created, holds their messages in quarantine, or refuses
them.

A message is judged when its converter has said which device it is about. It stays in the journal whatever comes of it. A message
about several devices counts for those that are known. A sender whose message was refused is remembered for a while by its
identity, so that its next ones are refused at once, and don't fill the journal.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec import Struct

from iotgw.core.model import ConversionError, Message, Outcome, Output, State
from iotgw.core.ports.devices import IQuarantine
from iotgw.core.times import DateMs
from iotgw.pipeline.sources import Source

QUARANTINED = "Quarantined"
UNKNOWN = "UnknownDevice"
"""Names of the errors of such messages."""
MOST = 10_000
"""Messages whose outputs are remembered until they count."""
ASSET = b'{"assetName"'
"""How the body of an asset begins (`iotgw.core.model.Output`), which is no device."""


class _Sender(Struct):
    identity: str = ""
    remoteIp: str = ""


_sender = msgspec.json.Decoder(_Sender).decode


class Strangers:
    """The rule of one datasource. ``refused(peer, reason)`` is called for each message that is refused."""

    def __init__(self, source: Source, quarantine: IQuarantine, refused: Callable[[str, str], None]) -> None:
        self._source = source
        self._quarantine = quarantine
        self._refused = refused
        self._made: dict[int, tuple[Output, ...]] = {}
        """What converters made of messages that are about to be held, by position."""

    @property
    def are_welcome(self) -> bool:
        """Whether devices are created by their messages."""
        return self._source.spec.unknown_devices == "create"

    def judged(self, outcome: Outcome, metadata: bytes, released: str = "") -> Outcome:
        """The outcome of a message, without what it says of devices that nobody knows. ``released`` is the device for which a message that
        was held is converted again: what it says of others has counted before, or waits on."""
        source, outputs = self._source, outcome.outputs
        unknown: tuple[str, ...] = ()
        if not self.are_welcome:
            is_known = self._quarantine.is_known
            names = dict.fromkeys([each.device_name for each in outputs if not each.body.startswith(ASSET)])
            unknown = tuple(
                [name for name in names if name != released and not is_known(source.tenant, name)]
            )
        if released:
            outputs = tuple([each for each in outputs if each.device_name == released])
        if not unknown:
            return outcome if not released else _with(outcome, outputs, None)
        outputs = tuple([each for each in outputs if each.device_name not in unknown])
        which = (
            f"device {unknown[0]!r} is"
            if len(unknown) == 1
            else f"devices {', '.join(map(repr, unknown))} are"
        )
        if source.spec.unknown_devices == "quarantine" and self._quarantine.has_room(source.tenant, unknown):
            text = f"{which} not known: what it says of them is in quarantine until they are released"
            if len(self._made) >= MOST:  # what the journal refused in the meantime
                self._made.clear()
            self._made[outcome.seq] = outcome.outputs
            return _with(outcome, outputs, ConversionError(text, "devices", QUARANTINED, devices=unknown))
        more = ", and the quarantine is full" if source.spec.unknown_devices == "quarantine" else ""
        error = ConversionError(f"{which} not known{more}", "devices", UNKNOWN, devices=unknown)
        sender = _sender(metadata)
        self._refused(sender.remoteIp, error.message)
        if outputs:
            return _with(outcome, outputs, error)
        if sender.identity and not more:
            source.turned_away.add(sender.identity)
        return Outcome(outcome.seq, State.FAILED, outcome.converter, (), error)

    def counts(self, outcome: Outcome, received_ms: int) -> None:
        """A judged outcome counts: what is held is listed."""
        made = self._made.pop(outcome.seq, ())
        if outcome.error is not None and outcome.error.name == QUARANTINED:
            source = self._source
            for device in outcome.error.devices:
                body = next((each.body for each in made if each.device_name == device), b"")
                self._quarantine.hold(source.tenant, device, source.id, outcome.seq, received_ms, body)


def dropped(message: Message, device: str) -> Outcome:
    """The outcome of a message that was in quarantine, when what it says of a device is dropped."""
    error = message.error
    left = tuple([name for name in error.devices if name != device]) if error is not None else ()
    if error is not None:
        error = msgspec.structs.replace(error, devices=left) if left else None
    return Outcome(message.seq, State.FILTERED, message.converter, (), error)


def _with(outcome: Outcome, outputs: tuple[Output, ...], error: ConversionError | None) -> Outcome:
    state = State.CONVERTED if outputs else State.FILTERED
    received_ms = outcome.received_ms if outputs else DateMs(0)
    return Outcome(outcome.seq, state, outcome.converter, outputs, error, received_ms, outcome.aside)
