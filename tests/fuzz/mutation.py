"""Inputs for decoders: real ones, changed a little or a lot, random ones, and large ones of the kinds that grow costly."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from random import Random
from typing import Any

SPITEFUL = (
    b"\x00", b"\xff", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00", b"[", b"{", b'"', b"\\", b"\r\n", b"\n",
    b"-1", b"1e309", b"9" * 400, b"9" * 30, b"null", b"NaN", b"\xed\xa0\x80", b"\xc0\xaf", b"%00", b"%", b"&", b"=", b"*", b"((((", b"\xd8\x1c",
    b"\xbf\xff", b"0x", "²".encode(), "\u202e".encode(), b"$${{", b"{%", b"|", b"..", b"\x1b[0m",
)  # fmt: skip
VALUES = (
    None,
    True,
    -1,
    0,
    1e308,
    -1e308,
    10**400,
    -(10**400),
    1 << 63,
    "",
    "x" * 300,
    "\ud800",
    "\0",
    [],
    {},
    [[]],
    {"a": []},
    [1, "a"],
    "1e308",
    "nan",
)
"""What may stand in JSON in place of another value."""
LARGE = 64 << 10


def mutated(random: Random, seeds: Sequence[bytes]) -> bytes:
    """One input of ordinary size."""
    if not seeds or random.random() < 0.05:
        return random.randbytes(random.randrange(64))
    data = bytearray(random.choice(seeds))
    if data[:1] in (b"{", b"[") and random.random() < 0.2:
        return _revalued(random, bytes(data))
    for _ in range(random.choice((1, 1, 1, 2, 3, 8))):
        at = random.randrange(len(data) + 1)
        match random.randrange(8):
            case 0 if data:
                data[at - 1] = random.randrange(256)
            case 1 if data:
                data[at - 1] ^= 1 << random.randrange(8)
            case 2:
                data[at:at] = random.randbytes(random.randrange(1, 5))
            case 3:
                del data[at : at + random.randrange(1, 9)]
            case 4:
                data[at:at] = random.choice(SPITEFUL)
            case 5:
                other = random.choice(seeds)
                start = random.randrange(len(other) + 1)
                data[at : at + random.randrange(20)] = other[start : start + random.randrange(40)]
            case 6:
                data[at:at] = data[at : at + random.randrange(40)] * random.randrange(1, 4)
            case _:
                del data[at:]
    return bytes(data)


def _revalued(random: Random, data: bytes) -> bytes:
    """JSON in which a value is another one, or some are."""
    try:
        root = [json.loads(data)]
    except ValueError:
        return data + random.choice(SPITEFUL)
    for _ in range(random.choice((1, 1, 2, 5))):
        places = [*_places(root)]
        holder, place = random.choice(places)
        holder[place] = deepcopy(random.choice(VALUES))
    return json.dumps(root[0]).encode()


def _places(holder: Any) -> Iterator[tuple[Any, Any]]:
    for place, value in enumerate(holder) if isinstance(holder, list) else holder.items():
        yield holder, place
        if value and isinstance(value, list | dict):
            yield from _places(value)


def _repeated(random: Random, seeds: Sequence[bytes]) -> bytes:
    piece = mutated(random, seeds)[: random.choice((4, 40, 4000))] or b"x"
    return piece * (LARGE // len(piece) + 1)


def _nested(random: Random, seeds: Sequence[bytes]) -> bytes:
    opening, closing = random.choice(
        ((b"[", b"]"), (b'{"a":', b"}"), (b"(", b")"), (b"\x81", b"\x01"), (b"[{", b"}]"))
    )
    times = LARGE // (len(opening) + len(closing))
    return opening * times + b"1" + closing * random.choice((0, times))


def _padded(random: Random, seeds: Sequence[bytes]) -> bytes:
    """A long run of one thing somewhere in a real input."""
    data, run = (
        mutated(random, seeds),
        random.choice((b" ", b"9", b"\\", b"\x00", b"a", b"\xff", b",", b"\n", b"%41", b"a=1&")),
    )
    at = random.randrange(len(data) + 1)
    return data[:at] + run * (LARGE // len(run)) + data[at:]


def _random(random: Random, seeds: Sequence[bytes]) -> bytes:
    return random.randbytes(LARGE)


_WAYS: tuple[Callable[[Random, Sequence[bytes]], bytes], ...] = (
    _repeated,
    _nested,
    _padded,
    _padded,
    _random,
)


def large(random: Random, seeds: Sequence[bytes]) -> bytes:
    """One input of 64 kB."""
    return random.choice(_WAYS)(random, seeds)[:LARGE]
