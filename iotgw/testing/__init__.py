"""Doubles for the ports of iotgw, for tests of your own datasource or integration (``docs/testing.md``).

Each double is checked against its port and passes the same contract suite as the real part
(`iotgw.testing.contracts`). A ``Memory…`` behaves like the real part, but in memory; a ``Fake…`` does what the
test tells it to. None opens a socket or a file, starts a thread or reads the system's time: `clock` stands
still until it is advanced.
"""

from __future__ import annotations

from iotgw.testing.checkpoints import MemoryCheckpoints
from iotgw.testing.connector import FakeAsyncioThread, FakeConnector, FakeEndpoint
from iotgw.testing.converters import FakeConverters, MemoryConverterVersions, reads_json
from iotgw.testing.credentials import MemoryCredentials, save_credential
from iotgw.testing.datasources import FakeDatasource, FakeDatasourceType, datasource_context
from iotgw.testing.debug import MemoryDebugStore
from iotgw.testing.delivery import FakeDelivery
from iotgw.testing.device_entries import MemoryDeviceEntries
from iotgw.testing.devices import MemoryDevices
from iotgw.testing.downlink_store import MemoryDownlinkStore
from iotgw.testing.downlinks import MemoryDownlinks
from iotgw.testing.events import MemoryEvents
from iotgw.testing.files import MemoryFiles
from iotgw.testing.intake import FakeIntake
from iotgw.testing.integrations import (
    FakeIntegration,
    FakeIntegrationType,
    Told,
    Verdicts,
    integration_context,
    telemetry,
)
from iotgw.testing.jobs import FakeJobRun, MemoryJobs
from iotgw.testing.journal import MemoryJournal
from iotgw.testing.kept import MemoryKept
from iotgw.testing.mounts import MemoryMounts
from iotgw.testing.own_converters import MemoryOwnConverters
from iotgw.testing.pipeline import FakeArrivals, FakePipeline, HeardUplinks
from iotgw.testing.platform_names import MemoryPlatformNames
from iotgw.testing.ports import verify_ports
from iotgw.testing.reactor import START, MemoryReactor, clock
from iotgw.testing.registry import MemoryRegistry
from iotgw.testing.results import fired
from iotgw.testing.sources import FakeSources
from iotgw.testing.speakers import FakeSpeakers
from iotgw.testing.stored_files import MemoryStoredFiles, MemoryUpdates
from iotgw.testing.tcp_device import FakeTcpDevice
from iotgw.testing.threads import ThreadClock
from iotgw.testing.trace import MemoryTrace
from iotgw.testing.upkeep import MemoryBackupPlans, MemoryBackups, MemoryPause
from iotgw.testing.usage import MemoryUsage

__all__ = [
    "START",
    "FakeArrivals",
    "FakeAsyncioThread",
    "FakeConnector",
    "FakeConverters",
    "FakeDatasource",
    "FakeDatasourceType",
    "FakeDelivery",
    "FakeEndpoint",
    "FakeIntake",
    "FakeIntegration",
    "FakeIntegrationType",
    "FakeJobRun",
    "FakePipeline",
    "FakeSources",
    "FakeSpeakers",
    "FakeTcpDevice",
    "HeardUplinks",
    "MemoryBackupPlans",
    "MemoryBackups",
    "MemoryCheckpoints",
    "MemoryConverterVersions",
    "MemoryCredentials",
    "MemoryDebugStore",
    "MemoryDeviceEntries",
    "MemoryDevices",
    "MemoryDownlinkStore",
    "MemoryDownlinks",
    "MemoryEvents",
    "MemoryFiles",
    "MemoryJobs",
    "MemoryJournal",
    "MemoryKept",
    "MemoryMounts",
    "MemoryOwnConverters",
    "MemoryPause",
    "MemoryPlatformNames",
    "MemoryReactor",
    "MemoryRegistry",
    "MemoryStoredFiles",
    "MemoryTrace",
    "MemoryUpdates",
    "MemoryUsage",
    "ThreadClock",
    "Told",
    "Verdicts",
    "clock",
    "datasource_context",
    "fired",
    "integration_context",
    "reads_json",
    "save_credential",
    "telemetry",
    "verify_ports",
]
