"""``acme-log``: each record is a line of a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from iotgw.extension import (
    DELIVERED,
    IIntegration,
    IIntegrationType,
    IntegrationContext,
    IReactor,
    Settle,
    TelemetryRecord,
    Unavailable,
)


class AcmeLogSettings(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Settings of an ``acme-log`` integration."""

    path: Annotated[str, Meta(min_length=1, description="The file.")]


@implementer(IIntegrationType)
class AcmeLogType:
    """The type ``acme-log``."""

    name = "acme-log"
    settings = AcmeLogSettings

    def __init__(self, reactor: IReactor, forbid: Sequence[str] = ()) -> None:
        pass

    def build(self, settings: AcmeLogSettings, context: IntegrationContext) -> IIntegration:
        return AcmeLog(Path(settings.path))


@implementer(IIntegration)
class AcmeLog:
    """Appends to a file."""

    capacity = 100
    max_batch = 100
    whole = True

    def __init__(self, path: Path) -> None:
        self._path = path

    def start(self) -> Deferred[None]:
        return succeed(None)

    def stop(self) -> Deferred[None]:
        return succeed(None)

    def send(self, records: list[TelemetryRecord], settle: Settle) -> None:
        seqs = [record.seq for record in records]
        try:
            with self._path.open("ab") as file:
                file.writelines(record.body + b"\n" for record in records)
        except OSError as error:
            settle(seqs, Unavailable(str(error)))
        else:
            settle(seqs, DELIVERED)

    def check(self) -> Deferred[dict]:
        return succeed({"ok": self._path.parent.is_dir(), "detail": str(self._path)})

    def status(self) -> dict:
        return {"state": "ready"}
