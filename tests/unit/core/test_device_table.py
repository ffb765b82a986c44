"""Lists of devices as spreadsheets write them, and as they are safe to open in one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iotgw.core import device_table
from iotgw.core.device_table import NoTable


def rows(text):
    raw = text if isinstance(text, bytes) else text.encode()
    return list(device_table.read(device_table.lines_of(device_table.text_of(raw))))


def devices(text):
    found = rows(text)
    assert not [row.error for row in found if row.error]
    return [row.device for row in found]


@pytest.mark.parametrize(
    "text",
    [
        "name,label,tag.floor\nd1,Boiler,1\n", "name,label,tag.floor\r\nd1,Boiler,1\r\n", "name;label;tag.floor\nd1;Boiler;1",
        "name\tlabel\ttag.floor\nd1\tBoiler\t1\n", "\ufeffname,label,tag.floor\nd1,Boiler,1\n", "sep=;\r\nname;label;tag.floor\r\nd1;Boiler;1\r\n",
        "Name, LABEL ,tag.floor\n d1 , Boiler ,1\n", 'name,label,tag.floor\n"d1","Boiler","1"\n', "name,label,tag.floor,,\nd1,Boiler,1,,\n",
        "name,label,tag.floor\n\n,,\nd1,Boiler,1\n\n", "\ufeffname\tlabel\ttag.floor\r\nd1\tBoiler\t1\r\n".encode("utf-16"),
    ],
)  # fmt: skip
def test_a_device_is_read_whatever_program_wrote_the_file(text):
    assert devices(text) == [{"name": "d1", "label": "Boiler", "tags": {"floor": "1"}}]


def test_numbers_groups_and_empty_cells():
    text = "name,groups,latitude,longitude,reportEvery,tag.a\nd, x | y |,-8.25,.5,,\n"
    assert devices(text) == [
        {"name": "d", "groups": ["x", "y"], "latitude": -8.25, "longitude": 0.5, "reportEvery": None, "tags": {"a": None}}
    ]  # fmt: skip


def test_semicolons_come_with_decimal_commas():
    assert devices("name;latitude;longitude\nd;47,5;8.25\n") == [
        {"name": "d", "latitude": 47.5, "longitude": 8.25}
    ]


def test_lines_are_those_of_the_file_with_breaks_in_cells_and_a_line_of_its_own_for_the_separator():
    found = rows('sep=,\nname,notes\na,"two\nlines"\nb,\u2028x\n')
    assert [(row.line, row.device["notes"]) for row in found] == [(4, "two\nlines"), (5, "\u2028x")]


def test_a_key_comes_as_a_credential_of_the_device():
    text = "name,psk.key,psk.identity,psk.encoding\na,s3cret,,\nb,00ff,i,hex\nc,,,\n"
    secret = {"value": "s3cret", "encoding": "text"}
    assert devices(text) == [
        {"name": "a", "credentials": [{"type": "psk", "identity": "a", "secrets": [secret]}]},
        {"name": "b", "credentials": [{"type": "psk", "identity": "i", "secrets": [{"value": "00ff", "encoding": "hex"}]}]},
        {"name": "c"},
    ]  # fmt: skip


@pytest.mark.parametrize("number", ["NaN", "nan", "inf", "-Infinity", "1e999", "0x10", "1_0", "47°", "１"])
def test_what_is_no_number_is_an_error_of_its_row_and_the_others_are_read(number):
    bad, good = rows(f"name,latitude\nd,{number}\ne,1\n")
    assert (bad.line, bad.device, bad.error[:33]) == (2, {"name": "d"}, "latitude: expected a number, got ")
    assert (good.device, good.error) == ({"name": "e", "latitude": 1.0}, "")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "got nothing"), ("label\nx\n", "expected a column 'name'"), ("name,colour\nd,red\n", "got 'colour'"),
        ("name,tenant\nd,acme\n", "got 'tenant'"), ("name,name\na,b\n", "each column once"), ("name,tag.\na,b\n", "got 'tag.'"),
        (b"name\nd\xff\n", "expected UTF-8, got byte 0xff at position 6"), ("name\n".encode("utf-16")[:-1], "expected UTF-8"),
        (b"\x89PNG\r\n\x1a\n", "expected UTF-8"), ("PK\x03\x04", "expected columns"), ("name," + ",".join(f"tag.{n}" for n in range(300)), "at most 200"),
    ],
)  # fmt: skip
def test_what_is_no_list_of_devices_is_refused_as_a_whole(text, why):
    with pytest.raises(NoTable, match="expected") as refused:
        rows(text)
    assert why in str(refused.value)


def test_rows_that_are_broken_are_told_and_the_others_are_read():
    found = rows('name,label\na,1,2\nb,"x"y\nc,z\n' + f"d,{'x' * 9000}\n" + f'e,"{"y" * 200_000}"\nf,ok\n')
    assert [(row.line, row.device.get("name"), bool(row.error)) for row in found] == [
        (2, None, True), (3, None, True), (4, "c", False), (5, "d", True), (6, None, True), (7, "f", False),
    ]  # fmt: skip


def test_no_cell_is_a_formula_for_a_spreadsheet():
    label = "=cmd|' /C calc'!A0"
    text = device_table.write(
        [{"name": "+d", "label": label, "groups": ["@x"], "latitude": -8.5, "tags": {"=t": "-1"}}], ["=t"]
    )  # fmt: skip
    (line,) = text.splitlines()[1:]
    assert line.startswith(f"'+d,'{label},,'@x,-8.5,")
    assert line.endswith(",'-1")
    (device,) = devices(text)
    assert (device["name"], device["label"], device["groups"], device["latitude"]) == (
        "+d",
        label,
        ["@x"],
        -8.5,
    )
    assert device["tags"] == {"=t": "-1"}


WORDS = st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="|"), max_size=12).map(
    str.strip
)
FORMULAS = st.sampled_from(["=1+1", "'=x", "''@y", "'quoted", "-5", "a,b;c\td"])


@given(
    st.lists(
        st.tuples(WORDS.filter(bool) | FORMULAS, WORDS | FORMULAS, st.floats(-90, 90), WORDS | FORMULAS),
        max_size=5,
    )
)
def test_what_is_written_is_read_as_it_was(said):
    given_devices = [
        {
            "name": name,
            "label": label,
            "latitude": latitude,
            "notes": notes,
            "tags": {"k": label} if label else {},
        }
        for name, label, latitude, notes in said
    ]
    read = devices(device_table.write(given_devices, ["k"]))
    known = [{**each, "tags": {"k": each["label"] or None}} for each in given_devices]
    assert [{key: each[key] for key in of} for each, of in zip(read, known, strict=True)] == known
