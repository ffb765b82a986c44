"""The frames of a RabbitMQ connection."""

import math
import struct

import pika
import pytest

from iotgw.connect.rabbit_frames import UNREADABLE, read
from iotgw.core.errors import ProtocolError


def header(properties):
    """A content header's frame of these bytes, or of what pika makes of properties."""
    if not isinstance(properties, bytes):
        properties = b"".join(properties.encode())
    content = struct.pack(">HHQ", 60, 0, 5) + properties
    return struct.pack(">BHL", 2, 1, len(content)) + content + b"\xce"


def with_headers(table, rest=b""):
    return header(struct.pack(">HI", 1 << 13 | (1 << 12 if rest else 0), len(table)) + table + rest)


ALL = pika.BasicProperties(
    content_type="text/plain", content_encoding="utf-8", headers={"a": 1, "b": {"c": "d"}}, delivery_mode=2, priority=3,
    correlation_id="c", reply_to="r", expiration="1", message_id="m", timestamp=7, type="t", user_id="u", app_id="p",
    cluster_id="x",
)  # fmt: skip


@pytest.mark.parametrize(
    "properties",
    [ALL, pika.BasicProperties(), pika.BasicProperties(headers={}), pika.BasicProperties(content_encoding="gzip", headers={"a": 1}, app_id="p")],
)  # fmt: skip
def test_properties_are_what_pika_reads(properties):
    data = header(properties)
    used, made = read(data + b"more")
    assert used == len(data)
    assert (made.channel_number, made.body_size) == (1, 5)
    expected = pika.BasicProperties()
    expected.decode(b"".join(properties.encode()))
    assert vars(made.properties) == vars(expected)


def test_a_fraction_keeps_its_value_and_what_is_no_number_is_none():
    _, made = read(
        with_headers(b"\x01ad" + struct.pack(">d", 2.5) + b"\x01nd" + struct.pack(">d", math.nan), b"\x02")
    )
    assert made.properties.headers["a"] == 2.5
    assert math.isnan(made.properties.headers["n"])
    assert made.properties.delivery_mode == 2


def test_headers_that_cannot_be_read_cost_a_message_nothing_else():
    _, made = read(with_headers(b"\x01aZ", b"\x02"))
    assert made.properties.headers == {UNREADABLE: "expected a type of AMQP, got 0x5a"}
    assert made.properties.delivery_mode == 2


def test_a_frame_is_read_when_it_is_whole():
    data = header(ALL)
    assert {read(data[:size]) for size in range(len(data))} == {(0, None)}


@pytest.mark.parametrize(
    "data", [header(ALL)[:-1] + b"\x00", header(struct.pack(">HI", 1 << 13, 100) + b"\x01aV")]
)
def test_a_broken_frame_is_an_error(data):
    with pytest.raises(ProtocolError):
        read(data)
