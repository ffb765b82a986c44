"""Variables of an OPC UA server: each change of a value is an uplink of the object that has the variable.

There is no acknowledgement in OPC UA: what arrives while the gateway dies is lost. While the gateway is full, the server keeps
values in its queues, whose length is a setting.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from iotgw.connect.opcua import OpcuaClient
from iotgw.connect.opcua_plan import Bad, Done, Sample
from iotgw.core import plain_json
from iotgw.core.model import Answer, Downlink, Metadata
from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.datasources import DatasourceContext, IKeepsDownlinks, IRunsOnce, IVouches
from iotgw.core.ports.reactor import IThreadedClock
from iotgw.datasources.feed import Feed
from iotgw.datasources.opcua.settings import OpcuaSettings
from iotgw.datasources.sampling import SampledEvents

RESERVED = {"ts", "deviceName", "deviceType"}
"""Keys of a payload that have a meaning of their own for converters."""


@implementer(IVouches, IRunsOnce)
class OpcuaType:
    """The ``opc-ua`` datasources of a gateway."""

    name = "opc-ua"
    settings = OpcuaSettings

    def __init__(self, reactor: IThreadedClock, connector: IConnector) -> None:
        self._reactor = reactor
        self._connector = connector

    def build(self, settings: OpcuaSettings, context: DatasourceContext) -> OpcuaDatasource:
        """See `IDatasourceType.build`."""
        return OpcuaDatasource(settings, context, self._connector)

    def vouches(self, settings: Any) -> bool:
        """See `IVouches.vouches`: a server knows its objects."""
        return True


@implementer(IKeepsDownlinks)
class OpcuaDatasource:
    """A session with a server."""

    def __init__(self, settings: OpcuaSettings, context: DatasourceContext, connector: IConnector) -> None:
        self.settings = settings
        self.context = context
        self.can_push = True
        self.counts: Counter[str] = Counter()
        self._intake = context.intake
        self._intake.never_waits = True
        self._is_up = False
        self._variables = 0
        self._error = ""
        self._is_stopped = False
        self._bad = SampledEvents(context.reactor, context.intake, "value.bad")
        self._client = OpcuaClient(settings.plan(), connector.asyncio(), context.reactor, self)
        self._feed = Feed(context.intake, context.reactor, self._pause, self._client.resume)

    # --- IDatasource

    def start(self) -> Deferred[None]:
        """Connect in the background, with retries while the server is unreachable."""
        self._client.start()
        return succeed(None)

    def stop(self) -> Deferred[None]:
        """Close the session; what waits here is still handed over."""
        self._is_stopped = True
        self._feed.close()
        return self._client.stop()

    @property
    def keeps_downlinks(self) -> bool:
        """See `IKeepsDownlinks`: values can be written while the server is connected."""
        return self._is_up

    def status(self) -> dict[str, Any]:
        """See `iotgw.core.ports.datasources.IDatasource.status`."""
        return {
            "state": "connected" if self._is_up else "connecting",
            "address": self.settings.address,
            "variables": self._variables,
            "delivery": "at most once: a value that arrives while the gateway dies is lost",
            **({"waitsForRoom": True} if self._feed.is_paused else {}),
            **({"lastError": self._error} if self._error else {}),
            **self.counts,
        }

    # --- OpcuaOwner

    def on_up(self, variables: int) -> None:
        """Connected."""
        self._is_up, self._variables, self._error = True, variables, ""
        self._intake.event("connected", f"connected to {self.settings.address}, {variables} variables")

    def on_lost(self, reason: str) -> None:
        """Not connected, or no longer; told once while the reason is the same."""
        self._is_up = False
        if not self._is_stopped and reason != self._error:
            self._error = reason
            self._intake.event("failed", f"{self.settings.address}: {reason}", "error")

    def on_trouble(self, reason: str) -> None:
        """A problem that ends nothing."""
        self._intake.event("trouble", f"{self.settings.address}: {reason}", "warning")

    def on_values(self, values: list[Sample | Bad]) -> None:
        """Each value is an uplink; those that can't be used are counted, and told of now and then."""
        received_ms = self.context.date_ms()
        for value in values:
            self.counts["values"] += 1
            if isinstance(value, Bad):
                self.counts["bad"] += 1
                self._bad.note(value.node, f"{value.device}, {value.name} ({value.node}): {value.why}")
                continue
            if value.is_lossy:
                self.counts["overflows"] += 1
            self._feed.submit(*self._uplink(value, received_ms), _nothing, listens=False)

    def _uplink(self, value: Sample, received_ms: int) -> tuple[bytes, Metadata]:
        key = f"{value.name}_" if value.name in RESERVED else value.name
        body: dict[str, Any] = {key: value.value}
        facts: Metadata = {
            "integrationName": self.context.name,
            "protocol": "opc-ua",
            "receivedTime": received_ms,
            "identity": value.device_id,
            "deviceName": self.settings.device_name or value.device,
            "nodeId": value.node,
            "name": value.name,
            "status": value.status,
        }
        if value.source_ms is not None:
            body["ts"] = facts["time"] = facts["sourceTime"] = value.source_ms
        if value.server_ms is not None:
            facts["serverTime"] = value.server_ms
        if value.is_lossy:
            facts["overflow"] = True
        return msgspec.json.encode(body), facts

    def _pause(self) -> None:
        self.counts["paused"] += 1
        self._client.pause()

    # --- downlinks

    def push(self, metadata: Metadata, downlinks: tuple[Downlink, ...]) -> None:
        """See `IPushes.push`: write variables or call a method of the object."""
        for downlink in downlinks:
            self._send(str(metadata.get("identity", "")), downlink)

    def _send(self, device_id: str, downlink: Downlink) -> None:
        try:
            asked = plain_json.decode(downlink.payload)
        except plain_json.NotJson as error:
            self._intake.downlink_refused(downlink, f"expected JSON: {error}")
            return
        if not isinstance(asked, dict) or not asked:
            self._intake.downlink_refused(downlink, "expected a JSON object of variables and their values")
            return
        method = downlink.metadata.get("method", asked.get("method"))
        arguments = asked.get("arguments", [])
        if "method" not in asked and method is None:
            done = self._client.write(device_id, asked)
        elif not isinstance(method, str) or not isinstance(arguments, list):
            self._intake.downlink_refused(downlink, "expected method, and arguments in a list")
            return
        else:
            done = self._client.call(device_id, method, arguments)
        self._intake.downlink_sent(downlink)
        done.addCallback(self._done, downlink)
        done.addErrback(lambda failure: self._intake.downlink_lost(downlink, failure.getErrorMessage()))

    def _done(self, done: Done, downlink: Downlink) -> None:
        if done.became == "delivered":
            self._intake.downlink_delivered(downlink, result=done.read)
        elif done.became == "refused":
            self._intake.downlink_refused(downlink, done.reason, done.read)
        else:
            self._intake.downlink_lost(downlink, done.reason, done.read)


def _nothing(answer: Answer) -> None:
    """Nobody waits for an answer."""
