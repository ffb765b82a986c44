"""Parquet files: bytes as the format has them. That a reader of somebody else's reads them is tested in tests/interop/test_parquet.py."""

import struct
import zlib

import pytest

from iotgw.wire.parquet import GZIP, UNCOMPRESSED, Column, write


def test_a_file_begins_and_ends_as_parquet_does_and_says_how_long_its_footer_is():
    made = write([Column("a", "time")], [(1,), (2,)])
    (length,) = struct.unpack("<I", made[-8:-4])
    assert made[:4] == made[-4:] == b"PAR1" and 0 < length < len(made) - 12


@pytest.mark.parametrize(
    ("column", "values", "page"),
    [
        (Column("a", "time"), [1, -1], struct.pack("<qq", 1, -1)),
        (Column("a", "number"), [1.5], struct.pack("<d", 1.5)),
        (Column("a", "text"), ["ab", "", "ü"], b"\2\0\0\0ab\0\0\0\0\2\0\0\0\xc3\xbc"),
        (Column("a", "truth"), [True, False, True] + [False] * 5 + [True], b"\x05\x01"),
        (
            Column("a", "time", optional=True),
            [None, None, 7],
            b"\4\0\0\0\x04\x00\x02\x01" + struct.pack("<q", 7),
        ),
        (Column("a", "truth", optional=True), [None], b"\2\0\0\0\x02\x00"),
    ],
)
@pytest.mark.parametrize("codec", [UNCOMPRESSED, GZIP])
def test_a_column_s_page_holds_the_values_that_are_there(column, values, page, codec):
    made = write([column], [(value,) for value in values], codec)
    content = zlib.decompressobj(31).decompress(made[made.index(b"\x1f\x8b") :]) if codec else made
    assert page in content


def test_many_columns_fit_into_the_list_of_them():
    columns = [Column(f"c{n}", "time") for n in range(40)]
    assert write(columns, [tuple(range(40))]).count(b"PAR1") == 2


def test_a_file_without_rows_is_one():
    assert write([Column("a", "text")], [])[-4:] == b"PAR1"
