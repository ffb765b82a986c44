"""The cipher suites that iotgw speaks, by how the peer is known and by what OpenSSL demands for them."""

from __future__ import annotations

from enum import Enum


class SuiteKind(Enum):
    """How a suite authenticates."""

    PSK = "psk"
    EPHEMERAL_PSK = "ephemeral psk"
    ECDSA = "ecdsa"
    RSA = "rsa"


# IANA number → (OpenSSL's name, kind, short tag). An eight-byte tag counts as weak to OpenSSL's security levels,
# but RFC 7252 §9.1.3 makes two of these suites mandatory, and small devices know no others.
SUITES: dict[int, tuple[str, SuiteKind, bool]] = {
    0x00A8: ("PSK-AES128-GCM-SHA256", SuiteKind.PSK, False),
    0x00A9: ("PSK-AES256-GCM-SHA384", SuiteKind.PSK, False),
    0xC0A4: ("PSK-AES128-CCM", SuiteKind.PSK, False),
    0xC0A5: ("PSK-AES256-CCM", SuiteKind.PSK, False),
    0xCCAB: ("PSK-CHACHA20-POLY1305", SuiteKind.PSK, False),
    0xCCAC: ("ECDHE-PSK-CHACHA20-POLY1305", SuiteKind.EPHEMERAL_PSK, False),
    0xC037: ("ECDHE-PSK-AES128-CBC-SHA256", SuiteKind.EPHEMERAL_PSK, False),
    0x00AE: ("PSK-AES128-CBC-SHA256", SuiteKind.PSK, False),
    0x008C: ("PSK-AES128-CBC-SHA", SuiteKind.PSK, False),
    0xC0A8: ("PSK-AES128-CCM8", SuiteKind.PSK, True),
    0xC0A9: ("PSK-AES256-CCM8", SuiteKind.PSK, True),
    0xC02B: ("ECDHE-ECDSA-AES128-GCM-SHA256", SuiteKind.ECDSA, False),
    0xC02C: ("ECDHE-ECDSA-AES256-GCM-SHA384", SuiteKind.ECDSA, False),
    0xC0AC: ("ECDHE-ECDSA-AES128-CCM", SuiteKind.ECDSA, False),
    0xC0AD: ("ECDHE-ECDSA-AES256-CCM", SuiteKind.ECDSA, False),
    0xCCA9: ("ECDHE-ECDSA-CHACHA20-POLY1305", SuiteKind.ECDSA, False),
    0xC023: ("ECDHE-ECDSA-AES128-SHA256", SuiteKind.ECDSA, False),
    0xC0AE: ("ECDHE-ECDSA-AES128-CCM8", SuiteKind.ECDSA, True),
    0xC0AF: ("ECDHE-ECDSA-AES256-CCM8", SuiteKind.ECDSA, True),
    0xC02F: ("ECDHE-RSA-AES128-GCM-SHA256", SuiteKind.RSA, False),
    0xC030: ("ECDHE-RSA-AES256-GCM-SHA384", SuiteKind.RSA, False),
    0xCCA8: ("ECDHE-RSA-CHACHA20-POLY1305", SuiteKind.RSA, False),
    0xC027: ("ECDHE-RSA-AES128-SHA256", SuiteKind.RSA, False),
}


def suites(kind: SuiteKind, short_tag: bool) -> dict[int, str]:
    """IANA number → OpenSSL's name of the suites of a kind, with or without an eight-byte tag."""
    return {number: name for number, (name, of, short) in SUITES.items() if of is kind and short is short_tag}
