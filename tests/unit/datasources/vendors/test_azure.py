"""Azure's connection strings, and what Event Hubs say of a message."""

from __future__ import annotations

import pytest

from iotgw import testing
from iotgw.app.parts import DATASOURCES
from iotgw.core.destination import destination
from iotgw.core.errors import SettingsError
from iotgw.core.types import Types

TYPES = Types("none", testing.MemoryReactor(), DATASOURCES, testing.FakeConnector())
KEY = "SharedAccessKeyName=listen;SharedAccessKey=c2VjcmV0="
PLACE = "Endpoint=sb://NS.servicebus.windows.net/"


def plain(connection, type_="azure-event-hub", **more):
    return TYPES.configure(type_, {"connectionString": connection, **more}).kafka()


def test_a_connection_string_is_a_cluster_a_topic_and_a_user():
    made = plain(f"{PLACE};{KEY};EntityPath=readings")
    assert (made.brokers, made.topics) == (["ns.servicebus.windows.net:9093"], ["readings"])
    assert made.tls is not None
    assert (made.sasl.mechanism, made.sasl.username) == ("PLAIN", "$ConnectionString")
    assert made.sasl.password == f"{PLACE};{KEY};EntityPath=readings"


def test_a_namespace_s_string_takes_the_name_from_the_settings():
    assert plain(f"{PLACE};{KEY}", eventHub="other").topics == ["other"]


def test_the_emulator_has_no_tls():
    made = plain(f"Endpoint=sb://localhost;{KEY};UseDevelopmentEmulator=true;", eventHub="hub")
    assert (made.brokers, made.tls) == (["localhost:9092"], None)


@pytest.mark.parametrize(
    ("connection", "problem"),
    [
        ("nonsense", "expected Endpoint=sb"),
        (f"{PLACE};{KEY}", "eventHub"),
        (PLACE, "expected Endpoint=sb"),
        (f"HostName=hub.azure-devices.net;{KEY}", "Event Hub-compatible"),
    ],
)
def test_another_string_is_refused_without_being_repeated(connection, problem):
    with pytest.raises(SettingsError, match=problem) as refused:
        plain(connection)
    assert "c2VjcmV0" not in str(refused.value)


def test_the_string_stays_with_its_namespace():
    def place(connection):
        return destination(
            TYPES.configure("azure-event-hub", {"connectionString": connection, "eventHub": "a"})
        )

    assert place(f"{PLACE};{KEY}") == place(f"{PLACE};SharedAccessKeyName=other;SharedAccessKey=eA==")
    assert place(f"{PLACE};{KEY}") != place(f"Endpoint=sb://elsewhere.example/;{KEY}")


def test_an_iot_hub_names_its_device_in_a_property():
    made = plain(f"{PLACE};{KEY};EntityPath=hub", "azure-iot-hub")
    assert (made.device_header, made.key_is_device) == ("iothub-connection-device-id", False)


@pytest.mark.parametrize(
    ("raw", "meant"),
    [(b"\xa1\x04SN-1", "SN-1"), (b"SN-1", "SN-1"), ("Zähler".encode(), "Zähler"), (b"\x53\x07", 7), (b"", ""), (None, ""),
     (b"\xff\xfe", "fffe")],
)  # fmt: skip
def test_properties_are_read_in_either_encoding(raw, meant):
    assert TYPES.get("azure-iot-hub").header(raw) == meant
