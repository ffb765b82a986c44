"""Test suites for the ports. The gateway's own parts and the doubles pass them.

So must any other implementation, such as a store on another database. Subclass the suite of its port in a test
module, make the part in `Contract.open`, and run pytest::

    class TestMyRegistry(RegistryContract):
        def open(self) -> IRegistry:
            registry = MyRegistry(self.clock, DATABASE)
            self.wait(registry.start())
            return registry

        def close(self, registry: IRegistry) -> None:
            self.wait(registry.stop())
"""

from __future__ import annotations

from iotgw.testing.contracts.base import Contract, Threaded
from iotgw.testing.contracts.converter_versions import ConverterVersionsContract
from iotgw.testing.contracts.converters import ConvertersContract
from iotgw.testing.contracts.credentials import CredentialsContract
from iotgw.testing.contracts.datasource import DatasourceContract
from iotgw.testing.contracts.debug import DebugStoreContract
from iotgw.testing.contracts.deliveries import DeliveriesContract
from iotgw.testing.contracts.device_entries import DeviceEntriesContract
from iotgw.testing.contracts.devices import DevicesContract
from iotgw.testing.contracts.downlink_rights import DownlinkRightsContract
from iotgw.testing.contracts.downlink_store import DownlinkStoreContract
from iotgw.testing.contracts.downlinks import DownlinksContract
from iotgw.testing.contracts.events import EventsContract
from iotgw.testing.contracts.files import OperatorFilesContract
from iotgw.testing.contracts.intake import IntakeContract
from iotgw.testing.contracts.integration import IntegrationContract
from iotgw.testing.contracts.journal import DiskJournalContract, JournalContract
from iotgw.testing.contracts.kept import KeptContract
from iotgw.testing.contracts.pipeline import PipelineContract, SourcesContract
from iotgw.testing.contracts.platform_names import PlatformNamesContract
from iotgw.testing.contracts.registry import RegistryContract
from iotgw.testing.contracts.stored_files import StoredFilesContract
from iotgw.testing.contracts.usage import UsageStoreContract

__all__ = [
    "Contract",
    "ConverterVersionsContract",
    "ConvertersContract",
    "CredentialsContract",
    "DatasourceContract",
    "DebugStoreContract",
    "DeliveriesContract",
    "DeviceEntriesContract",
    "DevicesContract",
    "DiskJournalContract",
    "DownlinkRightsContract",
    "DownlinkStoreContract",
    "DownlinksContract",
    "EventsContract",
    "IntakeContract",
    "IntegrationContract",
    "JournalContract",
    "KeptContract",
    "OperatorFilesContract",
    "PipelineContract",
    "PlatformNamesContract",
    "RegistryContract",
    "SourcesContract",
    "StoredFilesContract",
    "Threaded",
    "UsageStoreContract",
]
