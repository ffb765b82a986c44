"""OPC UA's values as JSON, and back."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum
from uuid import UUID

import pytest

pytest.importorskip("asyncua")

from asyncua import ua

from iotgw.connect.opcua_commands import in_words
from iotgw.connect.opcua_values import LONGEST, NoJson, from_json, is_same, ms, to_json

Kind = ua.VariantType


class Colour(IntEnum):
    RED = 3


@pytest.mark.parametrize(
    ("value", "json"),
    [
        (None, None),
        (True, True),
        (7, 7),
        (1.5, 1.5),
        (math.nan, None),
        (math.inf, None),
        ("x", "x"),
        (b"\x01", "AQ=="),
        (Colour.RED, 3),
        (datetime(2026, 1, 2, 3), "2026-01-02T03:00:00+00:00"),
        ([1, [2.5]], [1, [2.5]]),
        (ua.LocalizedText("text"), "text"),
        (ua.QualifiedName("name", 2), "name"),
        (ua.NodeId("v", 2), "ns=2;s=v"),
        (ua.StatusCode(ua.StatusCodes.Good), "Good"),
        (ua.Variant(3), 3),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ],
)
def test_a_value_has_a_form_in_json(value, json):
    assert to_json(value) == json


@pytest.mark.parametrize("value", [ua.Argument(), object(), [0] * (LONGEST + 1)])
def test_a_structure_and_a_long_array_have_none(value):
    with pytest.raises(NoJson):
        to_json(value)


@pytest.mark.parametrize(
    ("json", "type_", "value"),
    [
        (True, Kind.Boolean, True),
        (127, Kind.SByte, 127),
        (255, Kind.Byte, 255),
        (7.0, Kind.Int16, 7),
        (2**63 - 1, Kind.Int64, 2**63 - 1),
        (2**64 - 1, Kind.UInt64, 2**64 - 1),
        (3, Kind.Double, 3.0),
        (1.5, Kind.Float, 1.5),
        ("x", Kind.String, "x"),
        ("x", Kind.LocalizedText, ua.LocalizedText("x")),
        ("2026-01-02T03:00:00+01:00", Kind.DateTime, datetime(2026, 1, 2, 2)),
        ("AQ==", Kind.ByteString, b"\x01"),
        ([1, 2], Kind.Int32, [1, 2]),
    ],
)
def test_a_json_value_becomes_one_of_the_variable_s_type(json, type_, value):
    made = from_json(json, type_)
    assert made == value and type(made) is type(value)


@pytest.mark.parametrize(
    ("json", "type_"),
    [
        (1, Kind.Boolean),
        (True, Kind.Int32),
        (128, Kind.SByte),
        (-1, Kind.Byte),
        (1.5, Kind.Int32),
        (2**64, Kind.UInt64),
        (math.inf, Kind.Int32),
        ("1", Kind.Double),
        (1, Kind.String),
        ("yesterday", Kind.DateTime),
        ("?", Kind.ByteString),
        (None, Kind.String),
        ({}, Kind.Double),
        ([1, "x"], Kind.Double),
        ("x", Kind.ExtensionObject),
        (10**400, Kind.Float),
        (-(10**400), Kind.Double),
        ("0001-01-01T00:00:00+23:59", Kind.DateTime),
        ("9999-12-31T23:59:59-23:59", Kind.DateTime),
    ],
)
def test_what_a_variable_does_not_take_is_refused(json, type_):
    with pytest.raises(ValueError, match="expected a value of type"):
        from_json(json, type_)


@pytest.mark.parametrize(
    ("written", "read", "same"),
    [
        (0.1, 0.10000000149011612, True),  # a Float
        (0.1, 0.2, False),
        (1, 1, True),
        ([0.1, 1], [0.10000000149011612, 1], True),
        ([1], [1, 2], False),
        (math.nan, math.nan, True),
        ("a", "b", False),
    ],
)
def test_what_a_server_gives_back_is_compared_as_exactly_as_its_type(written, read, same):
    assert is_same(written, read) is same


def test_dates_are_in_utc():
    assert ms(datetime(1970, 1, 1, 0, 0, 1)) == 1000 == ms(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
    assert ms(datetime(1970, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))) == 0
    assert ms(None) is None


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ua.UaStatusCodeError(ua.StatusCodes.BadNotWritable), "BadNotWritable"),
        (TimeoutError(), "the server did not answer in time"),
        (ConnectionRefusedError(111, "x"), "the connection was refused"),
        (ValueError("a\nb"), "a b"),
        (LookupError(), "LookupError"),
    ],
)
def test_a_failure_is_one_line(error, words):
    said = in_words(error)
    assert words in said and "\n" not in said
