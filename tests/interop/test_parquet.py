"""hyparquet, a reader of somebody else's, reads the format's golden file and what a target was sent."""

import json
import subprocess

import pytest

from tests.peers.process import HOME, node_module
from tests.unit.integrations.test_formats import FOLDER, RECORDS, made

SCHEMA = [
    ["time", "INT64", "TIMESTAMP_MILLIS", "REQUIRED"],
    ["device", "BYTE_ARRAY", "UTF8", "REQUIRED"],
    ["type", "BYTE_ARRAY", "UTF8", "REQUIRED"],
    ["key", "BYTE_ARRAY", "UTF8", "REQUIRED"],
    ["number", "DOUBLE", None, "OPTIONAL"],
    ["text", "BYTE_ARRAY", "UTF8", "OPTIONAL"],
    ["truth", "BOOLEAN", None, "OPTIONAL"],
]
EARLY, LATE = "2023-11-14T22:13:20.123Z", "2023-11-14T22:14:20.500Z"
TANK = ("tank 3, hall=A", "tank level")
ROWS = [
    (EARLY, *TANK, "temp C", 20.5, None, None),
    (EARLY, *TANK, "raw", None, '{"a":[1]}', None),
    (EARLY, *TANK, "latitude", 52.5, None, None),
    (EARLY, *TANK, "longitude", 13.4, None, None),
    (LATE, *TANK, "temp C", 21, None, None),
    (LATE, *TANK, "label", None, 'low "oil"', None),
    (LATE, *TANK, "alarm", None, None, False),
    ("2023-11-14T22:13:20.000Z", "SN-2", "default", "fw", None, "1.3", None),
    (EARLY, "übergabe\\", "tank level", "temp C", -1e-7, None, None),
    (EARLY, "übergabe\\", "tank level", "größe", 1e17, None, None),
]


def read(path):
    node_module("hyparquet")
    script = HOME / "parquet_reader.mjs"
    ran = subprocess.run(["node", script, path], capture_output=True, text=True, check=True, timeout=60)
    return json.loads(ran.stdout)


@pytest.mark.parametrize("which", ["golden", "packed"])
def test_another_reader_finds_each_value_in_its_column(tmp_path, which):
    path = FOLDER / "parquet.batch"
    if which == "packed":
        path = tmp_path / "made.parquet"
        path.write_bytes(made("parquet", RECORDS, "array"))
    found = read(path)
    assert found["schema"] == SCHEMA and found["count"] == len(ROWS)
    assert [tuple(row[name] for name, *_ in SCHEMA) for row in found["rows"]] == ROWS
