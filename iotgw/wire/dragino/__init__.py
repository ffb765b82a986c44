"""Dragino NB-IoT and LTE-M nodes: frames of every generation, and where a frame ends on a TCP stream.

Sources: the open firmware NBSN95 v1.4.2, Dragino's manuals, and captured frames. All integers are
big-endian. What a model measures is left to its converter.
"""

from iotgw.wire.dragino.downlink import encode_downlink
from iotgw.wire.dragino.frame import DraginoFrame, parse
from iotgw.wire.dragino.guess import Guesses
from iotgw.wire.dragino.report import metadata
from iotgw.wire.dragino.stream import DraginoStream

__all__ = ["DraginoFrame", "DraginoStream", "Guesses", "encode_downlink", "metadata", "parse"]
