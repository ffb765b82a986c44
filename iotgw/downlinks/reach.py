"""How an item reaches its device: encoded by a datasource's downlink converter, and sent to where the device
was seen last."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
from twisted.internet.interfaces import IReactorTime

from iotgw.core import plain_json
from iotgw.core.clock import PlainCalendar
from iotgw.core.downlink_item import ContentType, Item, payload
from iotgw.core.errors import IotgwError, NotFound
from iotgw.core.identities import identity_key, told_apart_by
from iotgw.core.model import Metadata, Uplink
from iotgw.core.numbers import real
from iotgw.core.platform_names import NamesAsTheyCome
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.converters import IConverters, IConverterVersions
from iotgw.core.ports.datasources import IKeepsDownlinks
from iotgw.core.ports.journal import IMessages
from iotgw.core.ports.platform_names import IPlatformNames
from iotgw.core.ports.registry import IRegistry
from iotgw.core.ports.sources import ISources
from iotgw.core.proof import proved
from iotgw.core.specs import DatasourceSpec
from iotgw.downlinks.leaving import LastSeen

LONGEST = 86_400.0
"""Longest time in seconds for which a device may say that it listens."""
LOOKS = (1, 50)
"""How many of a device's latest messages are looked at for one that is its own."""
_decode = plain_json.reader()


class LastUplink(msgspec.Struct):
    """The keys read from the metadata of a device's last uplink."""

    identity: str = ""
    devEui: Any = None
    deviceName: Any = None
    ttd: Any = None
    query: dict[str, Any] = {}

    @property
    def sender(self) -> str:
        """What tells the device apart."""
        return told_apart_by(self.identity, self.devEui)

    @property
    def keys(self) -> tuple[str, str]:
        """By what a name may be bound to it."""
        return identity_key(self.sender), identity_key(self.identity)

    @property
    def window(self) -> float | None:
        """Seconds that the device said it would listen (``ttd``, as Eclipse Hono calls it), if it did."""
        said: Any = self.query.get("ttd", self.query.get("hono-ttd")) if self.ttd is None else self.ttd
        return real(said, 0.0, LONGEST)


class Reach:
    """Encodes items and finds devices; the callables that `iotgw.downlinks.queue.DownlinkQueue` is given.

    ``clock`` is gateway time.
    """

    def __init__(
        self,
        *,
        registry: IRegistry,
        journal: IMessages,
        versions: IConverterVersions,
        converters: IConverters,
        sources: ISources,
        clock: IReactorTime,
        calendar: ICalendar | None = None,
        names: IPlatformNames | None = None,
    ) -> None:
        self._names: IPlatformNames = names or NamesAsTheyCome()
        self._registry = registry
        self._journal = journal
        self._versions = versions
        self._converters = converters
        self._sources = sources
        self._clock = clock
        self._calendar: ICalendar = calendar or PlainCalendar(clock)

    async def encode(self, datasource: str, item: Item) -> tuple[bytes, ContentType, Metadata]:
        """Payload, content type and metadata of an item: its ``data`` as it is, or what the downlink
        converter of the datasource makes of its ``msg``; without a converter, the message itself.

        Raises IotgwError when the converter fails.
        """
        spec = item.spec
        data = payload(spec)
        if data is not None:
            return data, spec.content_type, spec.metadata
        name, metadata = self._converter(item.tenant, datasource)
        if not name:
            if isinstance(spec.msg, str):
                return spec.msg.encode(), "TEXT", spec.metadata
            return msgspec.json.encode(spec.msg), "JSON", spec.metadata
        version = self._versions.active(item.tenant, name)
        facts = {"deviceName": item.device, **spec.metadata}
        made = await self._converters.encode(version, spec.msg, facts, spec.msg_type, metadata)
        kind, text = made.get("contentType", "JSON"), made.get("data", "")
        if kind == "BINARY":
            try:
                body = base64.b64decode(text, validate=True)
            except ValueError as error:
                raise IotgwError(f"expected base64 in `data` of a BINARY downlink: {error}") from error
        else:
            body = text.encode() if isinstance(text, str) else msgspec.json.encode(text)
        return body, kind, {**spec.metadata, **made.get("metadata", {})}

    def _converter(self, tenant: str, datasource: str) -> tuple[str, Metadata]:
        """The downlink converter's name, and the datasource's static metadata."""
        try:
            resource = self._registry.get("datasource", datasource, tenant)
        except NotFound:
            return "", {}
        return resource.body.get("downlinkConverter", ""), resource.body.get("metadata", {})

    async def find(self, tenant: str, device: str) -> LastSeen:
        """Where a device was seen last.

        ``push(downlinks)`` is there while the device listens: within the datasource's window after its last
        uplink, on a datasource that can send without being asked; at any time where a network keeps downlinks for it.
        """
        uplink, seen = await self._last(tenant, device)
        if uplink is None:
            return LastSeen()
        datasource = self._sources.pushing(uplink.datasource)
        keeps = IKeepsDownlinks.providedBy(datasource) and IKeepsDownlinks(datasource).keeps_downlinks
        if datasource is None or not (keeps or self._listens(tenant, device, seen, uplink)):
            return LastSeen(uplink.datasource, None, seen.sender)
        metadata: Metadata = _decode(uplink.metadata)
        push = datasource.push
        return LastSeen(
            uplink.datasource,
            lambda downlinks: push(metadata, downlinks),
            seen.sender,
            proved(uplink.metadata),
        )

    async def _last(self, tenant: str, device: str) -> tuple[Uplink | None, LastUplink]:
        """A device's last uplink, and what its metadata say. A converter may have called another device by a name that is bound to this one:
        its uplinks don't tell where this one is."""
        before, owner = 0, None
        for limit in LOOKS:
            for message in await self._journal.messages(tenant, before, limit, device=device):
                before = message.seq
                seen = msgspec.json.decode(message.uplink.metadata, type=LastUplink)
                if isinstance(seen.deviceName, str) and owner is None:
                    owner = await self._names.owner(tenant, device)
                if not owner or not isinstance(seen.deviceName, str) or owner in seen.keys:
                    return message.uplink, seen
            if not before:
                break
        return None, LastUplink()

    def _listens(self, tenant: str, device: str, seen: LastUplink, uplink: Uplink) -> bool:
        body = self._registry.get("datasource", uplink.datasource, tenant).body
        spec = msgspec.convert(dict(body, name=""), DatasourceSpec)
        windows = (spec.downlink_windows.get(device), spec.downlink_windows.get(seen.identity), seen.window)
        window = next((each for each in windows if each is not None), spec.downlink_window)
        age = self._clock.seconds() - self._calendar.moment_ms(uplink.received_ms) / 1000
        return window == 0 or age <= window
