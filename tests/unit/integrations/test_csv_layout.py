"""CSV as offices want it, byte for byte."""

import csv
import gzip
import io
import sys
import zipfile

import msgspec
import pytest

from iotgw.core.errors import SettingsError
from iotgw.core.validate import convert
from iotgw.integrations.csv_layout import DELIMITERS, ENDS, QUOTING, CsvLayout, CsvSettings
from iotgw.integrations.files import Columns
from iotgw.integrations.packing import Packing
from iotgw.integrations.sftp_settings import LONGEST_KEY, SftpSettings
from tests.unit.delivery.worlds import record

JULY = 1_783_000_000_123
"""2026-07-02 13:46:40.123 UTC: summer time in Berlin."""
COLUMNS = [
    {"value": "time", "header": "Zeit"},
    {"value": "deviceName", "header": "Gerät"},
    {"value": "values.t", "header": "Temperatur [°C]"},
    {"value": "attributes.serial"},
    {"value": "values.missing"},
]


def body(values, ts=JULY, **attributes):
    return msgspec.json.encode({"attributes": attributes, "telemetry": [{"ts": ts, "values": values}]})


def layout(**settings):
    return CsvLayout(
        msgspec.convert(settings, CsvSettings), Columns(""), lambda record: {"id": "E-1", "datasource": "src"}
    )


def lines(values, **settings):
    return layout(**settings).text([record(1, device="d", body=body(values, serial="S/1"))]).decode("utf-8")


def test_without_settings_it_is_as_rfc_4180_has_it():
    made = lines({"b": 1.5, "a": "x,y", "c": None, "d": True, "e": [1]})
    assert made == (
        'time,deviceName,deviceType,a,b,c,d,e\r\n2026-07-02T13:46:40.123Z,d,default,"x,y",1.5,,true,[1]\r\n'
    )


def test_as_a_german_office_wants_it():
    settings = {
        "delimiter": "semicolon", "decimal": "comma", "zone": "Europe/Berlin", "time": "%d.%m.%Y %H:%M:%S",
        "columns": COLUMNS, "bom": True, "lineEnd": "lf",
    }  # fmt: skip
    assert lines({"t": -21.5, "other": 1}, **settings) == (
        "\ufeffZeit;Gerät;Temperatur [°C];serial;missing\n02.07.2026 15:46:40;d;-21,5;S/1;\n"
    )


@pytest.mark.parametrize("number", ["-5.2", "+3", "-5,2", "-1e-7"])
def test_a_number_that_came_as_a_text_is_one(number):
    assert lines({"t": number}, delimiter="semicolon").splitlines()[1].endswith(f";{number}")


@pytest.mark.parametrize("text", ["-5.2+A1", "-5.2\n", "- 5", "+1:2", "-", "-１"])
def test_what_only_begins_like_a_number_is_none(text):
    assert f"'{text}" in lines({"t": text})


TEXTS = ["x\ry", "line\nend", "both\r\n", 'q"uote', '"', "a;b,c\td|e", "", " lead ", "ü€", "[1]"]


@pytest.mark.parametrize("line_end", ENDS)
@pytest.mark.parametrize("quoting", QUOTING)
@pytest.mark.parametrize("decimal", ["point", "comma"])
@pytest.mark.parametrize("delimiter", DELIMITERS)
def test_whatever_the_settings_a_reader_finds_the_same_cells(delimiter, decimal, quoting, line_end):
    values = {f"k{n:02}": text for n, text in enumerate(TEXTS)} | {"number": -1.5}
    made = layout(
        delimiter=delimiter, decimal=decimal, quoting=quoting, lineEnd=line_end, bom=True,
        columns=[{"value": f"values.{key}"} for key in values],
    )  # fmt: skip
    records = [record(1, device="d", body=body(values))]
    text = (made.text(records) + made.text(records, begins=False)).decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=DELIMITERS[delimiter]))
    number = "-1,5" if decimal == "comma" else "-1.5"
    assert rows == [list(values), [*TEXTS, number], [*TEXTS, number]]


@pytest.mark.parametrize(
    ("settings", "row"),
    [
        ({"delimiter": "tab"}, "d\t1.5\tx"),
        ({"delimiter": "pipe"}, "d|1.5|x"),
        ({"decimal": "comma"}, 'd,"1,5",x'),
        ({"quoting": "all"}, '"d","1.5","x"'),
        ({"quoting": "text"}, '"d",1.5,"x"'),
        ({"quoting": "text", "decimal": "comma", "delimiter": "semicolon"}, '"d";1,5;"x"'),
    ],
)
def test_how_a_row_looks(settings, row):
    columns = [{"value": value} for value in ("deviceName", "values.n", "values.s")]
    assert lines({"n": 1.5, "s": "x"}, columns=columns, header=False, **settings) == f"{row}\r\n"


@pytest.mark.parametrize(
    ("settings", "time"),
    [
        ({}, "2026-07-02T13:46:40.123Z"),
        ({"zone": "Europe/Berlin"}, "2026-07-02T15:46:40.123+02:00"),
        ({"time": "unix"}, "1783000000.123"),
        ({"time": "unix-ms"}, "1783000000123"),
        ({"time": "%Y%m%d %H:%M:%S.%f %z", "zone": "America/New_York"}, "20260702 09:46:40.123000 -0400"),
    ],
)
def test_how_a_time_looks(settings, time):
    assert lines({}, columns=[{"value": "time"}], header=False, **settings) == f"{time}\r\n"


def test_a_time_that_no_calendar_has_is_written_as_a_number():
    made = layout(columns=[{"value": "time"}], header=False, zone="Europe/Berlin", time="%d.%m.%Y").text(
        [record(1, body=body({}, ts=10**17)), record(2, body=body({}, ts=-(10**14)))]
    )
    assert made == b"100000000000000000\r\n-100000000000000\r\n"


def test_what_a_message_has_besides_its_values():
    columns = [{"value": value} for value in ("id", "datasource", "deviceType")]
    assert lines({}, columns=columns, header=False) == "E-1,src,default\r\n"


def test_an_old_encoding_has_question_marks_for_what_it_lacks():
    made = layout(columns=[{"value": "values.s"}], header=False, encoding="windows-1252")
    assert made.text([record(1, body=body({"s": "21 °C – 漢"}))]) == b"21 \xb0C \x96 ?\r\n"


def test_what_is_added_to_a_file_has_no_header_and_no_mark():
    made = layout(columns=[{"value": "values.n"}], bom=True)
    assert made.text([record(1, body=body({"n": 1}))], begins=False) == b"1\r\n"


@pytest.mark.parametrize("begin", [*list("=+-@\t\r\n"), "＝", "＋", "－", "＠"])
def test_no_listed_header_and_no_cell_is_a_formula(begin):
    import csv

    text = begin + "cmd|' /C calc'!A0"
    made = lines({"s": text}, columns=[{"value": "values.s", "header": text}], delimiter="semicolon")
    assert [row[0] for row in csv.reader(io.StringIO(made, newline=""), delimiter=";")] == ["'" + text] * 2


@pytest.mark.parametrize(
    ("settings", "place"),
    [
        ({"zone": "Mars/Olympus"}, "zone"),
        ({"zone": "../../etc/passwd"}, "zone"),
        ({"zone": ""}, "zone"),
        ({"time": "dd.mm.yyyy"}, "time"),
        ({"time": ""}, "time"),
        ({"time": "%999999999d"}, "time"),
        ({"time": "%Y" * 100}, "time"),
        ({"bom": True, "encoding": "iso-8859-1"}, "bom"),
        ({"columns": [{"value": "temperature"}]}, "columns[0].value"),
        ({"columns": [{"value": "time"}, {"value": "values."}]}, "columns[1].value"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(settings, place):
    with pytest.raises(SettingsError) as caught:
        layout(**settings)
    assert caught.value.path == f"configuration.csv.{place}"


@pytest.mark.parametrize("compress", ["none", "gzip", "zip"])
def test_what_is_compressed_comes_out_again_and_is_the_same_each_time(compress):
    packing = Packing(compress, [])
    path = f"out/day.csv{packing.suffix}"
    packed = packing.packed(path, b"a;b\r\n" * 1000)
    assert packed == packing.packed(path, b"a;b\r\n" * 1000)
    if compress == "gzip":
        packed = gzip.decompress(packed)
    elif compress == "zip":
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            assert archive.namelist() == ["day.csv"]
            packed = archive.read("day.csv")
    assert packed == b"a;b\r\n" * 1000


@pytest.mark.parametrize("text", ["", "nonsense", "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nxVgE\n"])
def test_what_nobody_can_encrypt_to_is_refused(text):
    with pytest.raises(SettingsError) as caught:
        Packing("none", [text])
    assert caught.value.path == "configuration.encryptTo[0]"
    assert "\n" not in str(caught.value)


def test_a_key_is_no_longer_than_what_is_read_at_once():
    given = {
        "host": "h",
        "username": "u",
        "password": "p",
        "hostKeys": [],
        "encryptTo": ["x" * (LONGEST_KEY + 1)],
    }
    with pytest.raises(SettingsError, match=f"expected .*{LONGEST_KEY}") as caught:
        convert(given, SftpSettings, "configuration")
    assert caught.value.path == "configuration.encryptTo[0]"


def test_without_the_extra_it_is_said_what_installs_openpgp(monkeypatch):
    monkeypatch.setitem(sys.modules, "pysequoia", None)
    with pytest.raises(SettingsError, match=r"pip install 'iotgw\[pgp\]'"):
        Packing("none", ["key"])
