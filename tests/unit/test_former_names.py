"""What packages of others were told to import is importable still, and is what the gateway itself uses."""

import importlib

import pytest

# what each module had in the last version before its contents moved
FORMER = {
    "iotgw.extension": "DatasourceContext IntegrationContext Secret Type Types convert",
    "iotgw.interfaces": """
        IConverterEngine IConverters IDatasource IDatasourceType IDelivery IDevices IDownlinks IEvents IIntake
        IIntegration IIntegrationType IJournal IJournalListener IPushes IRegistry""",
    "iotgw.model": """
        Answer Conversion ConversionError ConverterSpec ConverterVersion Counters DEFAULT_TENANT DatasourceSpec
        Delivery DeliveryState Downlink DownlinkMode DownlinkSpec Event IntegrationSpec Job Kind Message Metadata
        Outcome Output Parked Progress QueueSpec Resource RetrySpec RouteSpec STORED Spec State Status StoredUplink
        TelemetryRecord Uplink message_id""",
    "iotgw.errors": """
        AlreadyRunning Conflict ConversionFailed IotgwError NotFound ProtocolError SettingsError StillReferenced
        Unavailable""",
    "iotgw.integrations.verdict": "Apart DELIVERED Delivered Rejected Retry Unavailable Verdict",
}
NAMES = [(module, name) for module, names in FORMER.items() for name in names.split()]
NOW = {
    "iotgw.interfaces:IIntake": "iotgw.core.ports.datasources",
    "iotgw.model:Downlink": "iotgw.core.model",
    "iotgw.model:IntegrationSpec": "iotgw.core.specs",
    "iotgw.errors:SettingsError": "iotgw.core.errors",
    "iotgw.integrations.verdict:Retry": "iotgw.core.verdict",
}


@pytest.mark.parametrize(("module", "name"), NAMES, ids=lambda value: value)
def test_a_name_that_others_import_is_still_there(module, name):
    found = importlib.import_module(module)
    assert hasattr(found, name)
    assert name in found.__all__


@pytest.mark.parametrize(("former", "now"), NOW.items())
def test_it_is_the_same_object_under_both_names(former, now):
    module, name = former.split(":")
    assert getattr(importlib.import_module(module), name) is getattr(importlib.import_module(now), name)
