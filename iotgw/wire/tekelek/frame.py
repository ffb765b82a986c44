"""A Tekelek frame: a header of 17 bytes, a body, and a CRC; cut out of a TCP stream by its length field.

There is no start or end marker. A frame is accepted when its CRC is right, or when the product code is known
and the IMEI consists of digits. Otherwise the stream is out of sync, and the bytes are a `Fault`. A wrong CRC
alone is flagged, not refused: samples in Tekelek's own manuals have one.
"""

from __future__ import annotations

import binascii

from msgspec import Struct

from iotgw.wire.framing import Events, Fault, Frame, head, truncated
from iotgw.wire.tekelek.products import PRODUCTS, Product

HEADER_SIZE = 17
READY = b"RDY,"

SCHEDULED, ALARM, DELAYED = 4, 8, 9
REGISTERS, STATUS, GPS = 6, 16, 17
LOGGER_TYPES = frozenset((SCHEDULED, ALARM, DELAYED))
TEXT_TYPES = frozenset((REGISTERS, STATUS, GPS))

CONTACT_REASONS = (
    "scheduled",
    "alarm",
    "serverRequest",
    "manual",
    "reboot",
    "tspRequested",
    "dynamicLimit1",
    "dynamicLimit2",
)
ALARMS = (
    "limit1",
    "limit2",
    "limit3",
    "bundClosed",
    "highPower",
    "watchdogReset",
    "brownOutReset",
    "active",
)
MANUAL_BIT, TSP_BIT = 1 << 3, 1 << 5


class Header(Struct, frozen=True):
    """What every Tekelek frame says, whatever its message type.

    ``product`` is None for a code that no document names. ``battery`` is the raw 5-bit count.
    """

    code: int
    product: Product | None
    hardware: str
    firmware: tuple[int, int]
    contact: int
    alarm: int
    csq: int
    status: int
    imei: str
    message_type: int
    crc_ok: bool

    @property
    def battery(self) -> int:
        """The battery's count 0…31; its unit depends on the product."""
        return self.status & 0x1F

    @property
    def rtc_set(self) -> bool:
        """Whether the device's clock has been set since its last reboot."""
        return bool(self.status & 0x20)


def crc16(data: bytes) -> int:
    """CRC-16/XMODEM, as in frames (over header and body) and in ``Z=`` of commands."""
    return binascii.crc_hqx(data, 0)


def frame_size(buffer: bytes | bytearray, start: int = 0) -> int:
    """The whole size of the frame whose header starts there: the length field counts body and CRC."""
    return HEADER_SIZE + ((buffer[start + 15] >> 6) << 8 | buffer[start + 16])


def parse(frame: bytes) -> Header | None:
    """The header of a whole frame, or None when it is shorter than one."""
    if len(frame) < HEADER_SIZE:
        return None
    hardware, firmware = frame[1], frame[2]
    return Header(
        code=frame[0],
        product=PRODUCTS.get(frame[0]),
        hardware=f"{hardware & 0x07}.{hardware >> 3}",
        firmware=(firmware & 0x1F, firmware >> 5),
        contact=frame[3],
        alarm=frame[4],
        csq=frame[5],
        status=frame[6],
        imei=frame[7:15].hex()[1:],
        message_type=frame[15] & 0x3F,
        crc_ok=_crc_ok(frame),
    )


def _crc_ok(frame: bytes) -> bool:
    if len(frame) < HEADER_SIZE + 2:
        return False
    return crc16(frame[:-2]) == int.from_bytes(frame[-2:], "big")


class TekelekFramer:
    """Cuts a TCP stream into whole frames by the length field.

    ``RDY,0``, the plain text that answers the command ``R1=40``, is a frame of its own.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._line_end = b""
        self._broken = False

    @property
    def pending(self) -> int:
        """How many bytes wait for the rest of their frame."""
        return len(self._buffer)

    def feed(self, data: bytes) -> Events:
        """The frames that ``data`` completed; bytes out of sync are a fault and end the stream."""
        if self._broken:
            return []
        buffer = self._buffer
        buffer += data
        events: Events = []
        start = 0
        while start < len(buffer):
            if self._line_end and buffer[start] == self._line_end[0]:
                self._line_end = self._line_end[1:]
                start += 1
                continue
            size = self._size(start)
            if not size:
                break
            frame = bytes(buffer[start : start + size])
            is_ready = frame.startswith(READY)
            if size < 0 or not (is_ready or _is_believable(frame)):
                self._broken = True
                events.append(Fault(head(buffer[start:]), f"expected {_BELIEVABLE}"))
                start = len(buffer)
            else:
                self._line_end = b"\r\n" if is_ready else b""
                events.append(Frame(frame))
                start += size
        del buffer[:start]
        return events

    def _size(self, start: int) -> int:
        """The size of the complete unit at ``start``; 0 when more bytes are needed, -1 when it is none."""
        buffer = self._buffer
        have = len(buffer) - start
        if buffer.startswith(READY[:have], start):
            return len(READY) + 1 if have > len(READY) else 0
        if have >= 15 and buffer[start] not in PRODUCTS and not _is_imei(buffer[start + 7 : start + 15]):
            return -1
        if have < HEADER_SIZE:
            return 0
        size = frame_size(buffer, start)
        return size if have >= size else 0

    def close(self) -> Events:
        """A fault with the truncated frame, if there is one."""
        return truncated(self._buffer, "expected the rest of a frame")


_BELIEVABLE = "a Tekelek frame (known product and IMEI, or a right CRC)"


def _is_imei(packed: bytes | bytearray) -> bool:
    return packed.hex().isdecimal() and packed[0] < 0x10


def _is_believable(frame: bytes) -> bool:
    if _crc_ok(frame):
        return True
    return frame[0] in PRODUCTS and _is_imei(frame[7:15]) and len(frame) >= HEADER_SIZE + 2
