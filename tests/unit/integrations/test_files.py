import csv
import io
import json
from datetime import UTC, datetime

import msgspec
import pytest

from iotgw.core.cron import Cron
from iotgw.core.errors import SettingsError
from iotgw.integrations.csv_layout import CsvLayout, CsvSettings
from iotgw.integrations.files import Columns, json_file
from tests.unit.delivery.worlds import record


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "after", "expected"),
    [
        ("30 5 * * *", "2026-11-21T05:29:59", "2026-11-21T05:30:00"),
        ("30 5 * * *", "2026-11-21T05:30:00", "2026-11-22T05:30:00"),
        ("*/15 * * * *", "2026-11-21T05:31:00", "2026-11-21T05:45:00"),
        ("0 0 1 * *", "2026-12-01T00:00:00", "2027-01-01T00:00:00"),
        ("0 0 29 2 *", "2026-11-21T00:00:00", "2028-02-29T00:00:00"),
        ("0 8-10/2 * * 1-5", "2026-11-20T10:00:00", "2026-11-23T08:00:00"),
        ("0 0 13 * 5", "2026-11-21T00:00:00", "2026-11-27T00:00:00"),  # the 13th, or a Friday
        ("0 0 * * 7", "2026-11-21T00:00:00", "2026-11-22T00:00:00"),
        ("59 23 31 12 *", "2026-12-31T23:59:30", "2027-12-31T23:59:00"),
    ],
)
def test_when_it_is_next(text, after, expected):
    assert Cron(text).next(at(after)) == at(expected)


@pytest.mark.parametrize(
    "text", ["", "* * * *", "60 * * * *", "* * 31 2 *", "a * * * *", "*/0 * * * *", "5-1 * * * *"]
)
def test_what_is_no_cron_text_is_refused(text):
    with pytest.raises(SettingsError):
        Cron(text)


def test_columns_keep_their_places_over_restarts(tmp_path):
    path = str(tmp_path / "columns.json")
    assert Columns(path).of("t", ["b", "a"]) == ["a", "b"]
    assert Columns(path).of("t", ["A", "a"]) == ["a", "b", "A"]
    assert Columns(path).of("other", ["z"]) == ["z"]


def test_a_device_that_invents_keys_does_not_widen_the_file_without_end():
    assert len(Columns("").of("t", [f"k{n}" for n in range(5000)])) == 1000


@pytest.mark.parametrize("begin", [*list("=+-@\t\r\n"), "＝", "＋", "－", "＠"])
def test_no_header_and_no_cell_of_a_csv_is_a_formula(begin):
    formula = begin + "cmd|' /C calc'!A0"
    body = {"telemetry": [{"ts": 0, "values": {formula: formula}}]}
    made = record(1, device=formula, body=msgspec.json.encode(body))
    layout = CsvLayout(CsvSettings(), Columns(""), lambda record: {})
    header, row = csv.reader(io.StringIO(layout.text([made]).decode(), newline=""))
    assert header[-1] == row[1] == row[-1] == "'" + formula


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_json_batch_is_an_array_whatever_its_size(count):
    text = json_file([record(n + 1).body for n in range(count)])
    assert [entry["deviceName"] for entry in json.loads(text)] == ["d1"] * count
