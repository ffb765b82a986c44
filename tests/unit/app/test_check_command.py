"""`iotgwctl check`: a configuration is checked by the gateway's own checks, without a gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest_twisted
from twisted.internet import reactor

from iotgw.app.check_command import check
from iotgw.config.settings import Settings
from iotgw.core.references import References
from iotgw.core.resources_file import read

DOCUMENT = """
[[converter]]
name = "good"
script = "return { deviceName: 'd', deviceType: 't', telemetry: { a: payload[0] } };"
tests = [
    { name = "one", hex = "01", output = { deviceName = "d", deviceType = "t", telemetry = { a = 1 } } },
    { name = "two", hex = "02", output = { deviceName = "d", deviceType = "t", telemetry = { a = 3 } } },
]

[[converter]]
name = "bad"
script = "function Decoder(bytes {"

[[datasource]]
name = "field"
type = "coap"
converter = "good"
configuration = { port = 5683 }

[[datasource]]
name = "typo"
type = "coapp"

[[credential]]
name = "meter"
identity = "1"
secrets = [{ value = "env:NOT_SET_HERE", encoding = "hex" }]

[[device]]
name = "d"
latitude = 91
longitude = 0
"""


@pytest_twisted.ensureDeferred
async def test_entries_scripts_and_vectors_are_checked_and_missing_secrets_stand_in(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(DOCUMENT)
    document = read(tmp_path, References({}, missing="stand-in"))
    found: Any = await check(document, Settings(), tmp_path / "data", reactor)  # type: ignore[arg-type]
    said = {f"{each['kind']} {each['name']}": each["problem"] for each in found.problems}
    assert set(said) == {"converter bad", "converter good", "datasource typo", "device d"}
    assert said["converter bad"].startswith("script: ")
    assert said["datasource typo"].startswith("type: expected one of ")
    assert said["device d"].startswith("latitude: expected `float` <= 90")
    assert said["converter good"] == (
        "vector 'two': expected {'deviceName': 'd', 'deviceType': 't', 'telemetry': {'a': 3}}, "
        "got {'deviceName': 'd', 'deviceType': 't', 'telemetry': {'a': 2}}"
    )
    assert (found.entries, found.vectors) == (6, 1)
