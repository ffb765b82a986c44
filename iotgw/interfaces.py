"""The ports by their former name, for packages that import them from here; they live in `iotgw.core.ports`."""

from __future__ import annotations

from zope.interface import Interface

from iotgw.core.ports.converters import IConverters
from iotgw.core.ports.datasources import IDatasource, IDatasourceType, IPushes
from iotgw.core.ports.delivery import IDelivery
from iotgw.core.ports.devices import IDevices
from iotgw.core.ports.downlinks import IDownlinks
from iotgw.core.ports.events import IEvents
from iotgw.core.ports.intake import IIntake
from iotgw.core.ports.integrations import IIntegration, IIntegrationType
from iotgw.core.ports.journal import IJournal, IJournalListener
from iotgw.core.ports.registry import IRegistry

__all__ = [
    "IConverterEngine",
    "IConverters",
    "IDatasource",
    "IDatasourceType",
    "IDelivery",
    "IDevices",
    "IDownlinks",
    "IEvents",
    "IIntake",
    "IIntegration",
    "IIntegrationType",
    "IJournal",
    "IJournalListener",
    "IPushes",
    "IRegistry",
]


class IConverterEngine(Interface):
    """A JavaScript engine of the worker program, which has `iotgw.converters.engines.ConverterEngine` for it now."""

    def call(entry: str, args: str) -> str:
        """Call the runtime's function ``entry`` with a text; returns a text."""
