"""Tekelek level sensors (TEK 586 … 908) over TCP: frames, their times, and commands back.

Source: Tekelek's manuals 9-5988 (TEK 822) and 9-5987 (TEK 811), and the workbook CF-5018-20
"cellular configuration and command" with its formulas and VBA. All integers are big-endian.
"""

from iotgw.wire.tekelek.command import command_line, expected_answers
from iotgw.wire.tekelek.frame import Header, TekelekFramer, crc16, parse
from iotgw.wire.tekelek.report import metadata

__all__ = ["Header", "TekelekFramer", "command_line", "crc16", "expected_answers", "metadata", "parse"]
