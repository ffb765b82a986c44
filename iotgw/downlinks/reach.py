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
from iotgw.core.model import Metadata, Uplink
from iotgw.core.numbers import real
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.converters import IConverters, IConverterVersions
from iotgw.core.ports.datasources import IKeepsDownlinks
from iotgw.core.ports.journal import IMessages
from iotgw.core.ports.registry import IRegistry
from iotgw.core.ports.sources import ISources
from iotgw.core.proof import proved
from iotgw.core.specs import DatasourceSpec
from iotgw.downlinks.leaving import LastSeen

LONGEST = 86_400.0
"""Longest time in seconds for which a device may say that it listens."""
_decode = plain_json.reader()


class LastUplink(msgspec.Struct):
    """The keys read from the metadata of a device's last uplink."""

    identity: str = ""
    ttd: Any = None
    query: dict[str, Any] = {}

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
    ) -> None:
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
        messages = await self._journal.messages(tenant, 0, 1, device=device)
        if not messages:
            return LastSeen()
        uplink = messages[0].uplink
        seen = msgspec.json.decode(uplink.metadata, type=LastUplink)
        datasource = self._sources.pushing(uplink.datasource)
        keeps = IKeepsDownlinks.providedBy(datasource) and IKeepsDownlinks(datasource).keeps_downlinks
        if datasource is None or not (keeps or self._listens(tenant, device, seen, uplink)):
            return LastSeen(uplink.datasource, None, seen.identity)
        metadata: Metadata = _decode(uplink.metadata)
        push = datasource.push
        return LastSeen(
            uplink.datasource,
            lambda downlinks: push(metadata, downlinks),
            seen.identity,
            proved(uplink.metadata),
        )

    def _listens(self, tenant: str, device: str, seen: LastUplink, uplink: Uplink) -> bool:
        body = self._registry.get("datasource", uplink.datasource, tenant).body
        spec = msgspec.convert(dict(body, name=""), DatasourceSpec)
        windows = (spec.downlink_windows.get(device), spec.downlink_windows.get(seen.identity), seen.window)
        window = next((each for each in windows if each is not None), spec.downlink_window)
        age = self._clock.seconds() - self._calendar.moment_ms(uplink.received_ms) / 1000
        return window == 0 or age <= window
