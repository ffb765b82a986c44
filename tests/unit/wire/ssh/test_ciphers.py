"""Packets of SSH: what one side seals the other opens, and nothing else."""

import contextlib
import os

import pytest

from iotgw.core.errors import ProtocolError
from iotgw.wire.ssh.agreement import AEAD, CIPHERS, MACS
from iotgw.wire.ssh.ciphers import LARGEST, Plain, sealing

PAIRS = [(cipher, b"") for cipher in CIPHERS if cipher in AEAD] + [
    (cipher, mac) for cipher in CIPHERS if cipher not in AEAD for mac in MACS
]
PAYLOADS = [b"\x05", bytes(range(256)), os.urandom(35000)]


def pair(names):
    keys = [os.urandom(64) for _ in range(3)]
    return sealing(names, *keys, is_out=True), sealing(names, *keys, is_out=False)


def named(names):
    return b"+".join(filter(None, names)).decode() if isinstance(names, tuple) else None


@pytest.mark.parametrize("names", PAIRS, ids=named)
def test_what_is_sealed_is_opened(names):
    ours, theirs = pair(names)
    for number, payload in enumerate(PAYLOADS * 3):
        sealed = ours.seal(number, payload)
        assert theirs.open(number, sealed + b"the next") == (payload, len(sealed))


@pytest.mark.parametrize("names", [*PAIRS, ()], ids=named)
def test_a_packet_that_comes_byte_by_byte_is_opened_when_it_is_whole(names):
    ours, theirs = pair(names) if names else (Plain(), Plain())
    sealed = ours.seal(0, b"\x05hello")
    for end in range(len(sealed)):
        assert theirs.open(0, sealed[:end]) is None
    assert theirs.open(0, sealed) == (b"\x05hello", len(sealed))


@pytest.mark.parametrize("names", PAIRS, ids=named)
def test_a_changed_byte_is_noticed(names):
    sealed = pair(names)[0].seal(7, b"\x05hello")
    for place in range(4 if names[1] and not names[1].endswith(b"openssh.com") else 0, len(sealed)):
        ours, theirs = pair(names)
        forged = bytearray(ours.seal(7, b"\x05hello"))
        forged[place] ^= 1
        with contextlib.suppress(ProtocolError):
            assert theirs.open(7, bytes(forged)) is None  # it waits for a longer packet


@pytest.mark.parametrize("names", PAIRS, ids=named)
def test_a_packet_out_of_its_turn_is_noticed(names):
    ours, theirs = pair(names)
    first, second = ours.seal(0, b"\x05one"), ours.seal(1, b"\x05two")
    try:
        assert theirs.open(0, second) is None
    except ProtocolError:
        return
    with pytest.raises(ProtocolError):
        theirs.open(0, second + first + bytes(LARGEST))


@pytest.mark.parametrize("size", [0, 4, 5, 13, LARGEST + 8, 0xFFFFFFFF])
def test_a_length_that_no_packet_has_is_refused_before_the_packet_is_there(size):
    with pytest.raises(ProtocolError, match="bad packet length"):
        Plain().open(0, size.to_bytes(4, "big"))


@pytest.mark.parametrize("padding", [0, 3, 11, 12, 255])
def test_padding_that_leaves_nothing_is_refused(padding):
    with pytest.raises(ProtocolError, match="bad padding"):
        Plain().open(0, b"\0\0\0\x0c" + bytes((padding,)) + bytes(11))
