"""Whether the sender of an uplink may be, or speak for, the device that the uplink is about."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct

from iotgw.core.model import ConversionError, Output
from iotgw.core.ports.speakers import ISpeakers
from iotgw.core.proof import is_marked, proved
from iotgw.pipeline.sources import Source

_IDENTITY = b'"identity":'


class _Sender(Struct):
    """The metadata that tell who sent an uplink."""

    identity: str = ""
    remoteIp: str = ""


_sender = msgspec.json.Decoder(_Sender).decode


class SenderCheck:
    """The check of one datasource's uplinks: by the tenant's rule, and by what the datasource itself guards.

    ``refused(peer, reason)`` is called for each sender that may not speak for a device.
    """

    def __init__(self, source: Source, speakers: ISpeakers, refused: Callable[[str, str], None]) -> None:
        self._source = source
        self._speakers = speakers
        self._refused = refused

    def concerns(self, metadata: bytes) -> bool:
        """Whether this metadata, or any of several texts in a row, may claim an identity that has to be proved."""
        return self._speakers.has_credentials(self._source.tenant) and metadata.find(_IDENTITY) >= 0

    def claim(self, metadata: bytes) -> ConversionError | None:
        """Why an uplink may not go by the identity in its metadata: it is that of a device with credentials, which the
        sender hasn't proved to be. None if it may."""
        source = self._source
        if not self.concerns(metadata):
            return None
        identity = _sender(metadata).identity
        if not identity:
            return None
        has_proved = proved(metadata)
        objection = self._speakers.identity_objection(source.tenant, source.id, identity, has_proved)
        return self._error(metadata, objection) if objection else None

    def familiar(self) -> Callable[[bytes, Sequence[Output]], bool]:
        """What tells at a glance, for one batch, that an uplink with this metadata may have these outputs and that nothing is
        learned from it, as of nearly every one. Where it says False, `speaking` and `heard` tell."""
        knows = self._speakers.familiar(self._source.tenant, self._source.id)
        if knows is None or self._source.guard is not None:
            return lambda metadata, outputs: False

        def is_familiar(metadata: bytes, outputs: Sequence[Output]) -> bool:
            for output in outputs:
                if not knows(output.device_name):
                    return False
            return not is_marked(metadata)

        return is_familiar

    def speaking(self, metadata: bytes, outputs: Sequence[Output]) -> ConversionError | None:
        """Why an uplink with this metadata may not have these outputs; None if it may."""
        objection = self.objection(metadata, outputs)
        return self._error(metadata, objection) if objection else None

    def objection(self, metadata: bytes, outputs: Sequence[Output]) -> str:
        """The same as a text."""
        source, object_to, has_proved = self._source, self._speakers.objection, proved(metadata)
        for output in outputs:
            if text := object_to(source.tenant, source.id, output.device_name, has_proved):
                return text
        return source.guard(metadata, outputs) if source.guard is not None else ""

    def heard(self, metadata: bytes, outputs: Sequence[Output]) -> None:
        """An uplink with these outputs counts."""
        self._speakers.heard(self._source.tenant, self._source.id, outputs, proved(metadata))

    def _error(self, metadata: bytes, objection: str) -> ConversionError:
        self._refused(_sender(metadata).remoteIp, objection)
        return ConversionError(objection, stage="datasource", name="IdentityMismatch")
