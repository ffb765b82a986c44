"""Commands to a Tekelek device: ``<password>,<settings>[,Z=<CRC>]<CRLF>`` in ASCII.

Several settings go in one line, the password stands once at its front, hexadecimal digits are capital
letters (workbook CF-5018-20, sheet "822 CC"). The device answers some of them with another frame on the
same connection.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from iotgw.wire.tekelek.frame import crc16

CLOSING = "R3=ACTIVE,R1=80"
"""Sent when nothing is queued: activate the unit (needed once, harmless ever after), then sleep."""

_ANSWERED = re.compile(r"R1=(?:01|02|04|08|20|40)|R6=0[12]")
_ENDING = re.compile(r"R1=80|R6=03")
_ALLOWED = re.compile(r"[\x20-\x7e]+")


def command_line(
    password: str, settings: Sequence[str], *, with_crc: bool = False, with_crlf: bool = True
) -> bytes:
    """One line for a device from settings such as ``"R1=02"`` or ``"S0=84,S1=00"``.

    A setting that already begins with the password and a comma is taken without it. Raises ValueError for
    text that isn't printable ASCII, which a line can't carry.
    """
    prefix = f"{password},"
    parts = [part for part in (_clean(setting, prefix) for setting in settings) if part]
    line = ",".join((password, *parts))
    if with_crc:
        # the CRC covers the text up to and including ",Z", without the "=" (VBA of the workbook)
        line += ",Z"
        line += f"={crc16(line.encode('ascii')):04X}"
    return line.encode("ascii") + (b"\r\n" if with_crlf else b"")


def _clean(setting: str, prefix: str) -> str:
    text = setting.strip().removeprefix(prefix).strip(",")
    # a CRC that came with the text would be wrong for the whole line
    text = re.sub(r",?Z=[0-9A-Fa-f]{4}$", "", text)
    if text and not _ALLOWED.fullmatch(text):
        raise ValueError(f"expected printable ASCII in a Tekelek command, got {text[:40]!a}")
    return text


def expected_answers(settings: Sequence[str]) -> int:
    """How many frames these settings make the device send on the same connection."""
    return sum(len(_ANSWERED.findall(setting)) for setting in settings)


def ends_session(settings: Sequence[str]) -> bool:
    """Whether one of the settings makes the device end the connection (R1=80 or R6=03)."""
    return any(_ENDING.search(setting) for setting in settings)
