"""Downlinks as direct methods of Azure IoT Hub: the hub calls a method of a connected device, and gives back what that answers.

Source: "Understand and invoke direct methods from IoT Hub" in Azure's documents. Messages from the cloud to a device would need AMQP.
"""

from __future__ import annotations

import base64
import re
from typing import Annotated, Any
from urllib.parse import quote

from msgspec import Meta, Struct
from twisted.internet.defer import Deferred

from iotgw.connect.azure import DEVICE_ID, IotHub, iot_hub
from iotgw.connect.azure_sas import SasToken
from iotgw.connect.json_api import CallProblem, JsonApi
from iotgw.connect.proxy import ProxyUrl, goes_by
from iotgw.connect.tls import ClientTls, trust
from iotgw.core import plain_json
from iotgw.core.model import Downlink
from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.datasources import DatasourceContext
from iotgw.core.secrets import Secret

VERSION = "2021-04-12"
CONNECTIONS = 8
SLACK = 15.0
"""Seconds that the hub's answer may take longer than the device's."""
NAME = re.compile(r"[A-Za-z0-9_$.-]{1,100}")


class DirectMethods(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """How an IoT hub is asked to call its devices."""

    connection_string: Annotated[
        Secret,
        Meta(
            description="Of the IoT hub itself, with a policy that may connect to the service: `HostName=…;SharedAccessKeyName=service;SharedAccessKey=…`."
        ),
    ]
    method: Annotated[
        str, Meta(description="The method's name, unless the downlink's metadata has another as `method`.")
    ] = "downlink"
    timeout: Annotated[int, Meta(ge=5, le=300, description="Seconds for the device's answer.")] = 30
    connect_timeout: Annotated[
        int, Meta(ge=0, le=300, description="Seconds that the hub waits for a device that isn't connected.")
    ] = 0
    tls: Annotated[ClientTls | None, Meta(description="TLS, if not with the system's authorities.")] = None
    proxy: ProxyUrl = ""

    def __post_init__(self) -> None:
        """Refuse what is no hub."""
        if self.connection_string:
            self.hub()
        if not NAME.fullmatch(self.method):
            raise ValueError("method: expected a name of letters, digits, '_', '.', '-' and '$'")

    def hub(self) -> IotHub:
        """The hub. Raises ValueError, which repeats nothing of the string."""
        hub = iot_hub(self.connection_string)
        if not hub.policy:
            raise ValueError(
                "connectionString: expected one of a policy that may connect to the service, not of a device"
            )
        return hub

    def destination(self) -> object:
        """See `iotgw.core.destination.Destined`."""
        return self.hub().netloc if self.connection_string else "", trust(self.tls), goes_by(self.proxy)


class MethodAnswer(Struct, frozen=True):
    """What a device answered: ``status`` is its own, as HTTP's are."""

    status: int
    payload: Any = None


class MethodCaller:
    """Calls methods, and reports what became of each downlink. Raises SettingsError."""

    def __init__(self, methods: DirectMethods, context: DatasourceContext, connector: IConnector) -> None:
        hub = methods.hub()

        def date() -> float:
            return context.date_ms() / 1000

        self._methods = methods
        self._intake = context.intake
        self._under_way: set[str] = set()
        self._api = JsonApi(
            context.reactor, connector, f"https://{hub.netloc}", SasToken(hub.host, hub.key, hub.policy, date), explain,
            tls=methods.tls, proxy=methods.proxy, date=date, connections=CONNECTIONS,
            timeout=methods.timeout + methods.connect_timeout + SLACK, place="configuration.methods",
        )  # fmt: skip
        self.error = ""
        """Why the last call failed by the hub's fault; empty while all is well."""

    def stop(self) -> Deferred[Any]:
        """End."""
        return self._api.close()

    def call(self, device: str, downlink: Downlink) -> None:
        """Call a device's method with a downlink's payload."""
        name = downlink.metadata.get("method", self._methods.method)
        if not isinstance(name, str) or not NAME.fullmatch(name):
            self._intake.downlink_refused(downlink, "expected a method's name")
            return
        if not DEVICE_ID.fullmatch(device):
            self._intake.downlink_refused(downlink, f"no IoT hub has a device {device[:128]!r}")
            return
        if downlink.id in self._under_way:
            return
        self._under_way.add(downlink.id)

        def told(answer: Any, problem: CallProblem | None) -> None:
            self._under_way.discard(downlink.id)
            if problem is None:
                self._answered(downlink, answer)
            else:
                self._failed(downlink, problem)

        body = {
            "methodName": name, "responseTimeoutInSeconds": self._methods.timeout,
            "connectTimeoutInSeconds": self._methods.connect_timeout, "payload": value_of(downlink.payload),
        }  # fmt: skip
        path = f"/twins/{quote(device, safe='')}/methods?api-version={VERSION}"
        self._intake.downlink_sent(downlink)
        self._api.call(path, body, told, form=MethodAnswer)

    def _answered(self, downlink: Downlink, answer: MethodAnswer) -> None:
        self.error = ""
        result = {"status": answer.status, "payload": answer.payload}
        if answer.status < 400:
            self._intake.downlink_delivered(downlink, result=result)
        else:
            self._intake.downlink_refused(downlink, f"the device answers {answer.status}", result)

    def _failed(self, downlink: Downlink, problem: CallProblem) -> None:
        if problem.code.startswith("404001") or problem.status in (400, 413):
            self._intake.downlink_refused(downlink, problem.reason)
            return
        if not problem.code.startswith(("404", "504")):  # it isn't that the device is away
            self.error = problem.reason
        self._intake.downlink_lost(downlink, problem.reason)


def value_of(payload: bytes) -> Any:
    """A downlink as a method's JSON argument: its JSON, its text, or else base64."""
    try:
        return plain_json.decode(payload)
    except plain_json.NotJson:
        pass
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return base64.b64encode(payload).decode()


def explain(document: Any) -> tuple[str, str]:
    """The number and the words of an error; what the hub says may stand as JSON in its ``Message``."""
    if not isinstance(document, dict):
        return "", ""
    words = document.get("message") or document.get("Message") or ""
    code = document.get("errorCode")
    if code is None and isinstance(words, str):
        try:
            inner = plain_json.decode(words.encode())
        except plain_json.NotJson:
            inner = None
        if isinstance(inner, dict):
            code, words = inner.get("errorCode"), inner.get("message") or words
    return "" if code is None else str(code)[:100], str(words)
