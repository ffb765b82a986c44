"""What users save for LwM2M is bounded, as each save reads all of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from iotgw.core.errors import SettingsError
from iotgw.core.validate import convert
from iotgw.datasources.lwm2m.bootstrap_settings import BootstrapSettings
from iotgw.datasources.lwm2m.settings import Lwm2mSettings

XML = (Path(__file__).parents[3] / "data" / "lwm2m_3442.xml").read_text()


def test_object_models_are_read_once_and_bounded_in_all() -> None:
    first, again = (convert({"objects": [XML]}, Lwm2mSettings) for _ in range(2))
    assert first.models()[0] is again.models()[0]
    for _ in range(2):
        with pytest.raises(SettingsError, match=r"objects\[1\]: expected XML"):
            convert({"objects": [XML, "<LWM2M>"]}, Lwm2mSettings)
    with pytest.raises(SettingsError, match="objects: expected at most 1048576 characters in all"):
        convert({"objects": [XML] * 100}, Lwm2mSettings)


def test_patterns_of_all_profiles_together_are_bounded() -> None:
    profiles = [{"endpoints": ["*a*b"] * 20}] * 6
    with pytest.raises(SettingsError, match="profiles: expected at most 200 wildcards"):
        convert({"profiles": profiles}, Lwm2mSettings)
    with pytest.raises(SettingsError, match="profiles: expected at most 200 wildcards"):
        served = [{**each, "servers": [{"uri": "coap://h", "mode": "none"}]} for each in profiles]
        convert({"profiles": served, "securityMode": "NO_SECURE"}, BootstrapSettings)
