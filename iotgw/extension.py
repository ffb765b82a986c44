"""What a package of yours needs to bring a type of datasource or integration: one module to import from.

See ``docs/extending.md``. What this module has keeps its name and its meaning from one version to the next.
"""

from __future__ import annotations

from iotgw.core.descriptors import are_few as descriptors_are_few
from iotgw.core.epochs import message_id
from iotgw.core.errors import IotgwError, SettingsError
from iotgw.core.model import Answer, DeviceReply, Downlink, Kind, Metadata, Status, TelemetryRecord
from iotgw.core.needs import CoapPath, HttpMount, Need, TcpPort, UdpPort
from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.datasources import (
    DatasourceContext,
    IChecksAddresses,
    IDatasource,
    IDatasourceType,
    IForgets,
    IHasSessions,
    INeeds,
    IPushes,
    IVouches,
)
from iotgw.core.ports.intake import IIntake
from iotgw.core.ports.integrations import IIntegration, IIntegrationType, IntegrationContext, Settle
from iotgw.core.ports.reactor import IReactor
from iotgw.core.secrets import Secret, SecretTemplate, SecretUrl
from iotgw.core.types import Type, Types
from iotgw.core.validate import convert
from iotgw.core.verdict import DELIVERED, Apart, Delivered, Rejected, Retry, Unavailable, Verdict
from iotgw.datasources.coap.ports import CoapPorts, CoapShare
from iotgw.datasources.http.mounts import HttpMounts
from iotgw.dtls.settings import DtlsSettings
from iotgw.wire.coap import numbers as coap_numbers
from iotgw.wire.coap.exchange import Exchange as CoapExchange
from iotgw.wire.coap.message import Message as CoapMessage
from iotgw.wire.coap.message import error as coap_error
from iotgw.wire.coap.message import options as coap_options
from iotgw.wire.coap.site import Resource as CoapResource
from iotgw.wire.coap.timing import Policy as CoapPolicy
from iotgw.wire.coap.timing import Timing as CoapTiming

__all__ = [
    "DELIVERED",
    "Answer",
    "Apart",
    "CoapExchange",
    "CoapMessage",
    "CoapPath",
    "CoapPolicy",
    "CoapPorts",
    "CoapResource",
    "CoapShare",
    "CoapTiming",
    "DatasourceContext",
    "Delivered",
    "DeviceReply",
    "Downlink",
    "DtlsSettings",
    "HttpMount",
    "HttpMounts",
    "IChecksAddresses",
    "IConnector",
    "IDatasource",
    "IDatasourceType",
    "IForgets",
    "IHasSessions",
    "IIntake",
    "IIntegration",
    "IIntegrationType",
    "INeeds",
    "IPushes",
    "IReactor",
    "IVouches",
    "IntegrationContext",
    "IotgwError",
    "Kind",
    "Metadata",
    "Need",
    "Rejected",
    "Retry",
    "Secret",
    "SecretTemplate",
    "SecretUrl",
    "SettingsError",
    "Settle",
    "Status",
    "TcpPort",
    "TelemetryRecord",
    "Type",
    "Types",
    "UdpPort",
    "Unavailable",
    "Verdict",
    "coap_error",
    "coap_numbers",
    "coap_options",
    "convert",
    "descriptors_are_few",
    "message_id",
]
