"""Google Cloud's REST APIs: who we are there, and what their errors say.

A request carries a token that the gateway signs itself with a service account's key ("Service account authorization without OAuth" in
Google's documents). No token server is asked for one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from msgspec import Struct

from iotgw.connect.own_token import OwnToken
from iotgw.core import plain_json
from iotgw.core.errors import SettingsError
from iotgw.core.pem import LARGEST_RSA

EXTRA = "service account keys need the package google-auth: pip install 'iotgw[google]'"
PLACE = "configuration.credentials"


class ServiceAccountKey(Struct, frozen=True):
    """What counts of the JSON file that Google gives for a service account's key."""

    client_email: str
    private_key: str
    private_key_id: str = ""
    type: str = "service_account"


class GoogleToken(OwnToken):
    """A token for ``audience``. ``credentials`` is a service account key's JSON text;
    empty is no token at all, which only an emulator takes. ``date()`` gives the date in seconds since 1970. Raises SettingsError."""

    def __init__(self, credentials: str, audience: str, date: Callable[[], float]) -> None:
        super().__init__([], date)
        self._audience = audience
        self._signer: Any = None
        if not credentials:
            return
        self._key = _key(credentials)
        try:
            from google.auth import crypt, jwt  # noqa: PLC0415 - an extra
        except ImportError:
            raise SettingsError(PLACE, EXTRA) from None
        try:
            # not by google-auth, which looks whether factors are prime: that takes seconds for a long key
            key = load_pem_private_key(
                self._key.private_key.encode(), None, unsafe_skip_rsa_key_validation=True
            )
            if not isinstance(key, RSAPrivateKey) or key.key_size > LARGEST_RSA:
                raise ValueError
            self._signer = crypt.RSASigner(key, self._key.private_key_id or None)
            self._signer.sign(b"")  # a key whose numbers make no key is found out here
        except Exception:
            expected = f"expected an RSA key of at most {LARGEST_RSA} bits in private_key"
            raise SettingsError(PLACE, expected, True) from None
        self._jwt = jwt

    def made(self, now: float, until: float) -> bytes:
        """See `OwnToken.made`."""
        if self._signer is None:
            return b""
        email = self._key.client_email
        claims = {"iss": email, "sub": email, "aud": self._audience, "iat": int(now), "exp": int(until)}
        return b"Bearer %b" % self._jwt.encode(self._signer, claims)


def _key(credentials: str) -> ServiceAccountKey:
    try:
        key = plain_json.decode(credentials.encode(), type=ServiceAccountKey)
    except (plain_json.NotJson, UnicodeEncodeError):
        key = None
    if key is None or key.type != "service_account" or not key.client_email.isprintable():
        # the text is a secret, so nothing of it is repeated
        raise SettingsError(PLACE, "expected the JSON of a service account key", True)
    return key


def explain(document: Any) -> tuple[str, str]:
    """The name and the words of an error (AIP-193)."""
    error = document.get("error") if isinstance(document, dict) else None
    if not isinstance(error, dict):
        return "", ""
    return str(error.get("status") or "")[:100], str(error.get("message") or "")
