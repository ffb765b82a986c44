"""Which converter an uplink of a datasource gets: the device's own, or else what the datasource says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import msgspec

from iotgw.core.device_kinds import DeviceFacts, suggested
from iotgw.core.errors import NotFound
from iotgw.core.model import ConverterVersion, Uplink
from iotgw.core.ports.converters import IConverterVersions
from iotgw.pipeline.sources import Source

facts_of = msgspec.json.Decoder(DeviceFacts).decode
"""What a message's metadata says of its device."""


class ConverterChooser:
    """The choice of one datasource."""

    def __init__(self, source: Source, versions: IConverterVersions) -> None:
        self._source = source
        self._versions = versions

    def all(self) -> Iterator[ConverterVersion]:
        """All converter versions that an uplink of this datasource may need."""
        source = self._source
        spec = source.spec
        for name in (spec.converter, *spec.converters.values(), *source.own.own_converters(source.tenant)):
            with suppress(NotFound):
                if name:
                    yield self._versions.active(source.tenant, name)

    def only(self) -> ConverterVersion | None:
        """The converter version of every uplink, if there is one for all of them."""
        source = self._source
        spec = source.spec
        if spec.converters or not spec.converter or source.own.own_converters(source.tenant):
            return None
        try:
            version: ConverterVersion = self._versions.active(source.tenant, spec.converter)
        except NotFound:
            return None
        return version

    def of(self, uplink: Uplink) -> ConverterVersion | None:
        """The converter version of an uplink; None for one that is only stored. Raises NotFound."""
        source = self._source
        spec = source.spec
        name: str = spec.converter
        if spec.converters or source.own.own_converters(source.tenant):
            facts = facts_of(uplink.metadata)
            own: str = source.own.own_converter(source.tenant, facts.all_names())
            name = own or source.choice.name(facts)
            if not name and spec.converters:
                raise NotFound(self._unknown(facts))
        if not name:
            return None
        version: ConverterVersion = self._versions.active(source.tenant, name)
        return version

    def _unknown(self, facts: DeviceFacts) -> str:
        """That there is no converter for a device, and which one the library has."""
        kinds = facts.kinds() or ("",)
        library = self._versions.library
        offers = (offer for kind in kinds if (offer := suggested(kind, library)))
        offer = next((f"; the library has {name!r} for it" for name in offers), "")
        return (
            f"no converter for device model {kinds[0]!r}: expected one of "
            f"{', '.join(sorted(self._source.spec.converters))} in `converters`, or a `converter` for the rest{offer}"
        )
