"""What a package of yours needs to bring a type of datasource or integration: one module to import from.

See ``docs/extending.md``. What this module has keeps its name and its meaning from one version to the next.
"""

from __future__ import annotations

from iotgw.core.errors import IotgwError, SettingsError
from iotgw.core.model import Answer, Downlink, Kind, Metadata, Status, TelemetryRecord, message_id
from iotgw.core.ports.datasources import (
    DatasourceContext,
    IDatasource,
    IDatasourceType,
    IHasSessions,
    IPushes,
)
from iotgw.core.ports.intake import IIntake
from iotgw.core.ports.integrations import IIntegration, IIntegrationType, IntegrationContext, Settle
from iotgw.core.ports.reactor import IReactor
from iotgw.core.secrets import Secret
from iotgw.core.types import Type, Types
from iotgw.core.validate import convert
from iotgw.core.verdict import DELIVERED, Apart, Delivered, Rejected, Retry, Unavailable, Verdict

__all__ = [
    "DELIVERED",
    "Answer",
    "Apart",
    "DatasourceContext",
    "Delivered",
    "Downlink",
    "IDatasource",
    "IDatasourceType",
    "IHasSessions",
    "IIntake",
    "IIntegration",
    "IIntegrationType",
    "IPushes",
    "IReactor",
    "IntegrationContext",
    "IotgwError",
    "Kind",
    "Metadata",
    "Rejected",
    "Retry",
    "Secret",
    "SettingsError",
    "Settle",
    "Status",
    "TelemetryRecord",
    "Type",
    "Types",
    "Unavailable",
    "Verdict",
    "convert",
    "message_id",
]
