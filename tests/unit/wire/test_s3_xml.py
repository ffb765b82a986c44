"""What S3 says in XML."""

import pytest

from iotgw.core.errors import ProtocolError
from iotgw.wire.s3_xml import completion, leaves


def test_what_has_nothing_in_it_is_said_in_its_order():
    said = b'<?xml version="1.0"?><List xmlns="http://s3"><Contents><Key>a&amp;b</Key><Size>1</Size></Contents><Token/></List>'
    assert leaves(said) == [("Key", "a&b"), ("Size", "1"), ("Token", "")]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"", "expected XML"),
        (b"<a>", "expected XML"),
        (b'<!DOCTYPE a [<!ENTITY x "yyyy">]><a>&x;</a>', "without a document type"),
        (b"<a>" * 17, "16 levels"),
        (b" " * ((4 << 20) + 1), "bytes, got"),
        (b"<a>" + b"<b/>" * 40_000 + b"</a>", "40000 elements"),
        (b"<a " + b" ".join(b"a%d='1'" % each for each in range(30_000)) + b"/>", "no tag of more than"),
        (b"<a b='" + b"x" * 200_000 + b"'/>", "no tag of more than"),
        (b"\xff\xfe\xff", "expected XML"),
    ],
)
def test_what_is_none_is_refused(said, why):
    with pytest.raises(ProtocolError, match=why):
        leaves(said)


def test_a_long_list_and_a_long_text_are_read_whole():
    key = "x" * 300_000 + "&amp;\n" * 1000
    said = f"<a>{'<Contents><Key>k</Key><Size>1</Size></Contents>' * 5000}<Last>{key}</Last></a>"
    assert leaves(said.encode()) == [("Key", "k"), ("Size", "1")] * 5000 + [
        ("Last", key.replace("&amp;", "&"))
    ]


def test_parts_are_told_in_their_order():
    assert completion(['"x"', "<y>"]) == (
        b'<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"x"</ETag></Part>'
        b"<Part><PartNumber>2</PartNumber><ETag>&lt;y&gt;</ETag></Part></CompleteMultipartUpload>"
    )
