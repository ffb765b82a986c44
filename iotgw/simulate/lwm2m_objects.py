"""The objects of a simulated LwM2M device: what it answers when it is read, written, executed, and given firmware."""

from __future__ import annotations

from urllib.parse import urlsplit

from msgspec import Struct

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.blockwise import Block
from iotgw.wire.coap.message import Message, encode, options, uri_options
from iotgw.wire.lwm2m import formats, paths
from iotgw.wire.lwm2m.node import Node
from iotgw.wire.lwm2m.values import CodecError, Value

LARGEST = 16 << 20
"""Bytes of an image that it takes."""
TEMPERATURE: paths.Path = (3303, 0, 5700)
_PACKAGE, _URI, _UPDATE = (5, 0, 0), (5, 0, 1), (5, 0, 2)
_IDLE, _DOWNLOADING, _DOWNLOADED, _UPDATING = range(4)
FETCH = b"fetch"
"""The token of its own requests."""
Pair = tuple[int, int]


class DeviceAnswer(Struct, frozen=True):
    """What it answers, and what it asks for itself besides (a path, and the number of a block)."""

    code: int
    payload: bytes = b""
    pairs: tuple[Pair, ...] = ()
    fetches: int = -1


class Lwm2mObjects:
    """The objects 3, 5 and 3303 of one device. ``image`` is what it was given, ``executed`` how often it was restarted."""

    def __init__(self, celsius: float) -> None:
        self.celsius = celsius
        self.executed = 0
        self.image = bytearray()
        self._version = "1.0"
        self._state = _IDLE
        self._result = 0
        self._uri = ""

    def values(self) -> dict[paths.Path, Value]:
        """What can be read."""
        return {
            (3, 0, 0): "iotgw", (3, 0, 1): "simulated thermometer", (3, 0, 3): self._version, (3, 0, 9): 87,
            _URI: self._uri, (5, 0, 3): self._state, (5, 0, 5): self._result, (5, 0, 8, 0): 0, (5, 0, 9): 2,
            TEMPERATURE: round(self.celsius, 1), (3303, 0, 5701): "Cel",
        }  # fmt: skip

    def answer(self, request: Message) -> DeviceAnswer:
        """What a request gets."""
        try:
            path = paths.parse("/".join(request.options.path))
        except CodecError:
            return DeviceAnswer(n.BAD_REQUEST)
        if request.code == n.GET:
            return self._read(request, path)
        if request.code == n.POST and path == (3, 0, 4):
            self.executed += 1
            return DeviceAnswer(n.CHANGED)
        if request.code == n.POST and path == _UPDATE:
            return self._update()
        if request.code == n.PUT and path == _PACKAGE:
            return self._package(request)
        if request.code == n.PUT and path == _URI:
            return self._address(request)
        if request.code == n.PUT and not request.payload and request.options.queries:
            return DeviceAnswer(n.CHANGED)
        return DeviceAnswer(n.METHOD_NOT_ALLOWED)

    def _read(self, request: Message, path: paths.Path) -> DeviceAnswer:
        if self._state == _UPDATING:  # it is another one now
            self._state, self._result, self._version = _IDLE, 1, "2.0"
        nodes = [Node(place, value) for place, value in self.values().items() if place[: len(path)] == path]
        if not nodes or not path:
            return DeviceAnswer(n.NOT_FOUND)
        accept = request.options.get_uint(n.ACCEPT)
        if accept == n.LINK_FORMAT:
            links = ",".join(f"<{paths.text(node.path)}>" for node in nodes).encode()
            return DeviceAnswer(n.CONTENT, links, ((n.CONTENT_FORMAT, accept),))
        form = formats.SENML_CBOR if accept is None else accept
        try:
            return DeviceAnswer(n.CONTENT, formats.encode(form, nodes, path), ((n.CONTENT_FORMAT, form),))
        except CodecError:
            return DeviceAnswer(n.NOT_ACCEPTABLE)

    # --- firmware (Core 1.1.1 §E.6)

    def _update(self) -> DeviceAnswer:
        if self._state != _DOWNLOADED:
            return DeviceAnswer(n.METHOD_NOT_ALLOWED)
        self._state = _UPDATING
        return DeviceAnswer(n.CHANGED)

    def _package(self, request: Message) -> DeviceAnswer:
        block = Block.of(request.options, n.BLOCK1) or Block(0, False, 6)
        if block.number == 0:
            self.image.clear()
            self._state, self._result = _IDLE, 0
        if block.offset != len(self.image):
            return DeviceAnswer(n.REQUEST_ENTITY_INCOMPLETE)
        if len(self.image) + len(request.payload) > LARGEST:
            self._result = 2
            return DeviceAnswer(n.REQUEST_ENTITY_TOO_LARGE)
        self.image += request.payload
        pairs = () if request.options.get(n.BLOCK1) is None else ((n.BLOCK1, block.value),)
        if block.more:
            return DeviceAnswer(n.CONTINUE, b"", pairs)
        self._state = _DOWNLOADED if self.image.strip(b"\0") else _IDLE
        return DeviceAnswer(n.CHANGED, b"", pairs)

    def _address(self, request: Message) -> DeviceAnswer:
        form = request.options.get_uint(n.CONTENT_FORMAT)
        try:
            (node,) = formats.decode(form, request.payload, _URI)
        except (CodecError, ValueError):
            return DeviceAnswer(n.BAD_REQUEST)
        value = node.value
        self._uri = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
        self.image.clear()
        self._state, self._result = (_DOWNLOADING if self._uri else _IDLE), 0
        if self._uri and urlsplit(self._uri).scheme != "coap":
            self._state, self._result = _IDLE, 9
        return DeviceAnswer(n.CHANGED, fetches=0 if self._state == _DOWNLOADING else -1)

    def fetch(self, number: int, mid: int) -> bytes:
        """The request for a block of what it was told to fetch, from where it is registered."""
        where = uri_options(urlsplit(self._uri).path)
        return encode(n.CON, n.GET, mid, FETCH, options(*where, (n.BLOCK2, Block(number, False, 6).value)))

    def fetched(self, response: Message) -> int:
        """Take a block; returns the number of the next one, -1 for none."""
        block = Block.of(response.options, n.BLOCK2) or Block(0, False, 6)
        if response.code != n.CONTENT or block.offset != len(self.image):
            self._state, self._result = _IDLE, 4
            return -1
        self.image += response.payload
        if block.more and len(self.image) < LARGEST:
            return len(self.image) >> (block.szx + 4)
        self._state = _DOWNLOADED
        return -1
