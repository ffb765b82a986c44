"""The frames of a RabbitMQ connection, as pika reads them, but for messages' headers.

pika raises for some headers that every publisher may send (NaN, a date after the year 9999, nested lists), and that ends the connection: such a message would come
again and again, and nothing behind it. It makes 2 of 2.5, too.
"""

from __future__ import annotations

import struct
from typing import Any

from pika import frame, spec  # only `iotgw.connect.rabbit_client` imports this, where the extra is there

from iotgw.core.errors import ProtocolError
from iotgw.wire.amqp_table import table

UNREADABLE = "unreadable"
"""A header with the reason, in place of headers that can't be read."""
_HEAD = struct.Struct(">BHL")
_CONTENT = struct.Struct(">HHQH")
_TYPE, _ENCODING, _HEADERS, _MORE = 1 << 15, 1 << 14, 1 << 13, 1


def read(buffer: bytes) -> tuple[int, Any]:
    """How many bytes the first frame takes, and the frame; 0 and None while it isn't complete. Raises as pika does."""
    if len(buffer) < _HEAD.size or buffer[0] != spec.FRAME_HEADER:
        found: tuple[int, Any] = frame.decode_frame(buffer)
        return found
    _, channel, size = _HEAD.unpack_from(buffer)
    end = _HEAD.size + size + spec.FRAME_END_SIZE
    if end > len(buffer):
        return 0, None
    if buffer[end - 1] != spec.FRAME_END:
        raise ProtocolError("expected the end of a frame")
    content = bytes(buffer[_HEAD.size : end - 1])
    _, _, body_size, flags = _CONTENT.unpack_from(content)
    properties = spec.BasicProperties()
    if flags & _MORE or not flags & _HEADERS:
        properties.decode(content, 12)
    else:
        at = _CONTENT.size
        for flag in (_TYPE, _ENCODING):
            at += 1 + content[at] if flags & flag else 0
        (size,) = struct.unpack_from(">I", content, at)
        begin, after = at + 4, at + 4 + size
        plain = struct.pack(">H", flags & ~_HEADERS) + content[_CONTENT.size : at] + content[after:]
        properties.decode(plain)
        properties.headers = _headers(content[begin:after], size)
    return end, frame.Header(channel, body_size, properties)


def _headers(data: bytes, size: int) -> dict[str, Any]:
    if len(data) < size:
        raise ProtocolError("expected a table of AMQP, got one that is cut off")
    try:
        return table(data)
    except ProtocolError as error:
        return {UNREADABLE: str(error)}
