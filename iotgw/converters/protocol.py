"""What the gateway and a worker say to each other: frames on a stream socket (the worker's stdin and stdout).

A frame is a 4-byte big-endian length and that many bytes of MessagePack: an array whose first element is
its kind. The gateway sends `Define`, `Forget`, `Run` and `Try`; the worker answers each `Run` with a `RunDone`
and each `Try` with a `Tried`, in order. While it runs, the worker keeps `PROGRESS` in memory that it shares
with the gateway: which call of which `Run` it is at. So a worker that dies needs no last words: the call that
killed it is known, and the others are simply run again.
"""

from __future__ import annotations

import struct
from typing import Any

import msgspec
from msgspec import Struct

from iotgw.core.model import Conversion, ConverterVersion

LENGTH = struct.Struct(">I")
MAX_FRAME = 256 << 20

PROGRESS = struct.Struct("<II")
"""Number of the `Run` or `Try` under way, and the index of the call in it, or `BETWEEN`."""
BETWEEN = 0xFFFFFFFF
PROGRESS_SIZE = 4096

RECYCLE = 75
"""Exit code of a worker whose memory has grown: nothing is wrong, replace it."""
OUT_OF_MEMORY = 76
"""Exit code of a worker that ran out of memory outside of a script's reach."""
NOT_CONFINED = 77
"""Exit code of a worker that could not be confined, and has run nothing."""


class Define(Struct, frozen=True, array_like=True, tag=1):
    """From now on ``number`` means this version."""

    number: int
    version: ConverterVersion


class Forget(Struct, frozen=True, array_like=True, tag=2):
    """``number`` is not used any more."""

    number: int


class ScriptCall(Struct, frozen=True, array_like=True, gc=False):
    """One conversion. ``place`` names the state that it may use; empty for none."""

    converter: int
    payload: bytes
    metadata: bytes
    received_ms: int
    place: str = ""


class Run(Struct, frozen=True, array_like=True, tag=3):
    """Convert these in order. ``states`` are those that this worker doesn't have.

    ``careful`` runs are of a script that has died: first under an engine that can say where it hangs.
    """

    seq: int
    calls: list[ScriptCall]
    states: dict[str, bytes] = {}
    careful: bool = False


class Try(Struct, frozen=True, array_like=True, tag=4):
    """Something for a person: ``what`` is ``compile``, ``test`` or ``encode``; ``body`` its argument."""

    seq: int
    what: str
    body: dict[str, Any]


Spent = tuple[int, int, int, float]
"""What a converter has used: its number, calls, those that failed, and CPU seconds."""


class RunDone(Struct, frozen=True, array_like=True, tag=5):
    """The results of a `Run`, as many as it had calls; ``states`` are those that changed. ``spent`` says what calls that follow each other have used."""

    seq: int
    results: list[Conversion]
    states: dict[str, bytes] = {}
    spent: list[Spent] = []


class Tried(Struct, frozen=True, array_like=True, tag=6):
    """The answer to a `Try`: JSON."""

    seq: int
    body: bytes


Order = Define | Forget | Run | Try
Reply = RunDone | Tried

_encoder = msgspec.msgpack.Encoder()
orders = msgspec.msgpack.Decoder(Order)
replies = msgspec.msgpack.Decoder(Reply)


def frame(message: Order | Reply) -> bytes:
    """A message as bytes, with its length in front."""
    body = _encoder.encode(message)
    return LENGTH.pack(len(body)) + body
