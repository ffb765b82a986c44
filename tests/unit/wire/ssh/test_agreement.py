"""What an SSH client agrees on with servers of all kinds."""

import pytest

from iotgw.core.errors import ProtocolError
from iotgw.wire.ssh.agreement import CIPHERS, MACS, STRICT_SERVER, Offer, agree, read_offer

OURS = ([b"curve25519-sha256"], [b"ssh-ed25519"], CIPHERS, CIPHERS, MACS, MACS, [b"none"], [b"none"])


def offer(ciphers, macs=(b"hmac-sha2-256",), strict=True, kex=b"curve25519-sha256"):
    names = (kex, STRICT_SERVER) if strict else (kex,)
    ciphers, macs = tuple(ciphers), tuple(macs)
    return Offer(
        (names, (b"ssh-ed25519",), ciphers, ciphers, macs, macs, (b"none",), (b"none",)), guessed=False
    )


def payload(*lists, cookie=bytes(16)):
    return cookie + b"".join(len(each).to_bytes(4, "big") + each for each in lists)


def test_a_cipher_that_authenticates_needs_no_mac():
    agreed = agree(OURS, offer([b"aes128-gcm@openssh.com"], [b"umac-64@openssh.com"]))
    assert agreed.out == agreed.in_ == (b"aes128-gcm@openssh.com", b"")


def test_our_first_choice_that_the_server_has_is_taken():
    agreed = agree(OURS, offer([b"aes128-ctr", b"aes256-ctr"], [b"hmac-sha1", b"hmac-sha2-512"]))
    assert agreed.out == (b"aes256-ctr", b"hmac-sha2-512")


@pytest.mark.parametrize(
    ("ciphers", "macs"),
    [([b"chacha20-poly1305@openssh.com"], []), ([b"aes128-ctr"], [b"hmac-sha2-512-etm@openssh.com"])],
)
def test_what_can_be_truncated_is_taken_with_strict_key_exchange_only(ciphers, macs):
    assert agree(OURS, offer(ciphers, macs))
    with pytest.raises(ProtocolError, match="CVE-2023-48795"):
        agree(OURS, offer(ciphers, macs, strict=False))


def test_without_strict_key_exchange_what_is_safe_is_preferred():
    ciphers = [b"chacha20-poly1305@openssh.com", b"aes128-ctr"]
    macs = [b"hmac-sha2-256-etm@openssh.com", b"hmac-sha2-256"]
    assert agree(OURS, offer(ciphers, macs, strict=False)).out == (b"aes128-ctr", b"hmac-sha2-256")


def test_all_that_is_not_matched_is_said_with_both_lists():
    with pytest.raises(ProtocolError) as caught:
        agree(OURS, offer([b"aes128-ctr"], [b"umac-64@openssh.com"], kex=b"sntrup761x25519-sha512"))
    said = str(caught.value)
    assert "no key exchange in common: the server has sntrup761x25519-sha512, kex-strict-s" in said
    assert "the gateway has curve25519-sha256" in said
    assert "no MAC in common: the server has umac-64@openssh.com; the gateway has hmac-sha2-256, " in said
    assert "cipher" not in said
    assert said.count("no MAC") == 1


def test_a_list_without_end_is_said_in_part():
    with pytest.raises(ProtocolError) as caught:
        agree(OURS, offer([b"x" * 30] * 1000))
    assert len(str(caught.value)) < 1000


def test_an_offer_is_read():
    read = read_offer(
        payload(b"a,b", b"c", b"d", b"e", b"f", b"g", b"none", b"zlib,none", b"", b"") + b"\1\0\0\0\0"
    )
    assert read.lists[0] == (b"a", b"b")
    assert read.lists[7] == (b"zlib", b"none")
    assert read.guessed


@pytest.mark.parametrize("text", [b"", bytes(16), payload(b"a"), bytes(16) + b"\xff\xff\xff\xff"])
def test_an_offer_that_is_cut_short_is_refused(text):
    with pytest.raises(ProtocolError, match="cut short"):
        read_offer(text)
