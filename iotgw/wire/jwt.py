"""JSON Web Tokens in their compact form, signed with RS256 (RFC 7515, 7518 §3.3, 7519). No I/O, and no date of its own."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256
from msgspec import Struct

from iotgw.core import plain_json
from iotgw.core.errors import ProtocolError

LONGEST = 8192
"""Characters of a token; Google's have some 800."""
ALGORITHM = "RS256"
LEEWAY = 60.0
"""Seconds by which the clocks of two machines may differ (RFC 7519 §4.1.4)."""
SMALLEST_KEY, LARGEST_KEY = 2048, 8192
"""Bits of a key (RFC 7518 §3.3); a larger one costs a listener more than a token is worth."""
LARGEST_EXPONENT = 4
"""Bytes of a public exponent: nearly all are 65537 (RFC 8017 §3.1), and the work on a signature grows with it."""
MOST_KEYS = 100

_PARTS = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]*)")
_CODED = re.compile(r"[A-Za-z0-9_-]+")


class TokenHeader(Struct, frozen=True):
    """What counts of a token's header (RFC 7515 §4.1). ``crit`` are extensions that whoever reads it must understand."""

    alg: str
    kid: str = ""
    crit: Any = None


class SignedToken(Struct, frozen=True):
    """A token that nobody has checked. ``signed`` are the bytes that the signature is of."""

    key_id: str
    claims: dict[str, Any]
    signed: bytes
    signature: bytes

    def is_signed_by(self, key: RSAPublicKey) -> bool:
        """Whether this key's owner made it."""
        try:
            key.verify(self.signature, self.signed, PKCS1v15(), SHA256())
        except InvalidSignature:
            return False
        return True


class Expected(Struct, frozen=True):
    """What a token must say: who made it, for whom, and whose it is."""

    issuer: str
    audience: str
    email: str

    def objection(self, claims: dict[str, Any], now: float) -> str:
        """What is wrong with claims at a date in seconds since 1970; empty if nothing is. Whoever says ``email`` must say that it
        is verified (OpenID Connect Core 1.0 §5.1)."""
        audience = claims.get("aud")
        if claims.get("iss") != self.issuer:
            return "a token of another issuer"
        if self.audience not in (audience if isinstance(audience, list) else [audience]):
            return "a token for another audience"
        if claims.get("email") != self.email or claims.get("email_verified") is not True:
            return "a token of another account"
        ends = _date(claims.get("exp"))
        if ends is None or now >= ends + LEEWAY:
            return "a token that has ended" if ends is not None else "a token without an end"
        begins = [claims[name] for name in ("iat", "nbf") if name in claims]
        if any((date := _date(each)) is None or date > now + LEEWAY for each in begins):
            return "a token that hasn't begun"
        return ""


def parse(text: str) -> SignedToken:
    """A token of the algorithm RS256. Raises ProtocolError, which repeats nothing of it."""
    parts = _PARTS.fullmatch(text) if len(text) <= LONGEST else None
    if parts is None:
        raise ProtocolError("what is no signed token")
    try:
        header = plain_json.decode(_bytes(parts[1]), TokenHeader)
        claims = plain_json.decode(_bytes(parts[2]), dict[str, Any])
        signature = _bytes(parts[3])
    except ValueError:
        raise ProtocolError("a token that can't be read") from None
    if header.alg != ALGORITHM:  # the sender doesn't choose how it is checked (RFC 8725 §3.1)
        raise ProtocolError(f"a token that isn't signed with {ALGORITHM}")
    if header.crit is not None:
        raise ProtocolError("a token with extensions")
    return SignedToken(header.kid, claims, f"{parts[1]}.{parts[2]}".encode(), signature)


class WebKey(Struct, frozen=True):
    """What counts of a key (RFC 7517 §4, RFC 7518 §6.3)."""

    kty: str
    kid: str = ""
    alg: str = ALGORITHM
    use: str = "sig"
    n: str = ""
    e: str = ""


class WebKeySet(Struct, frozen=True):
    """RFC 7517 §5."""

    keys: list[WebKey]


def key_set(document: bytes) -> dict[str, RSAPublicKey]:
    """The keys of a set by their ids, as far as they sign with RS256 and can be used. Raises ValueError if there is none."""
    found: dict[str, RSAPublicKey] = {}
    for key in plain_json.decode(document, WebKeySet).keys[:MOST_KEYS]:
        if (key.kty, key.alg, key.use) == ("RSA", ALGORITHM, "sig") and (usable := _usable(key)) is not None:
            found[key.kid] = usable
    if not found:
        raise ValueError(
            f"expected keys for {ALGORITHM} of {SMALLEST_KEY} to {LARGEST_KEY} bits, with an exponent of at most "
            f"{LARGEST_EXPONENT} bytes"
        )
    return found


def _usable(key: WebKey) -> RSAPublicKey | None:
    """An RSA key; None if its numbers are none of a key, or too large to check signatures with."""
    try:
        modulus, exponent = (_bytes(each).lstrip(b"\0") for each in (key.n, key.e))
    except ValueError:
        return None
    if not SMALLEST_KEY <= 8 * len(modulus) <= LARGEST_KEY + 7 or len(exponent) > LARGEST_EXPONENT:
        return None
    numbers = RSAPublicNumbers(int.from_bytes(exponent), int.from_bytes(modulus))
    try:
        return numbers.public_key() if SMALLEST_KEY <= numbers.n.bit_length() <= LARGEST_KEY else None
    except ValueError:  # an even exponent, one larger than the modulus, …
        return None


Find = Callable[[str], RSAPublicKey | None]
"""``find(key_id)``: the issuer's key of this name, if it has one."""


def objection(text: str, find: Find, expected: Expected, now: float) -> str:
    """What is wrong with a token at a date in seconds since 1970, in words without it; empty if nothing is. Nothing of it counts before its
    signature is checked."""
    try:
        token = parse(text)
    except ProtocolError as error:
        return str(error)
    key = find(token.key_id)
    if key is None:
        return "a token of a key that its issuer doesn't publish"
    if not token.is_signed_by(key):
        return "a token with a wrong signature"
    return expected.objection(token.claims, now)


def _bytes(text: str) -> bytes:
    """base64url without padding (RFC 7515 §2). Raises ValueError."""
    if text and _CODED.fullmatch(text) is None:
        raise ValueError("expected base64url")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _date(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) < 1e12 else None
