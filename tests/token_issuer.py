"""An issuer of tokens as Google is one: it publishes its keys, and signs with them as Google's own library does."""

import base64
import json

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from google.auth import crypt, jwt

ISSUER = "https://accounts.google.com"
AUDIENCE = "https://gateway.example/i/key"
ACCOUNT = "push@plant.iam.gserviceaccount.com"


def coded(data):
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value):
    return coded(value.to_bytes((value.bit_length() + 7) // 8))


class TokenIssuer:
    """``kid`` is its key's name."""

    def __init__(self, kid="one"):
        self.kid = kid
        self._key = rsa.generate_private_key(65537, 2048)
        pem = self._key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        self._signer = crypt.RSASigner.from_string(pem, kid)

    @property
    def published(self):
        """Its key as it stands in its set."""
        numbers = self._key.public_key().public_numbers()
        return {
            "kty": "RSA", "alg": "RS256", "use": "sig", "kid": self.kid, "n": number(numbers.n), "e": number(numbers.e),
        }  # fmt: skip

    @property
    def public_pem(self):
        return self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def token(self, now, life=3600, **claims):
        """A token of a date in seconds since 1970. A claim that is None is left out."""
        said = {
            "iss": ISSUER, "aud": AUDIENCE, "email": ACCOUNT, "email_verified": True, "sub": "1137",
            "iat": int(now), "exp": int(now) + life, **claims,
        }  # fmt: skip
        said = {name: value for name, value in said.items() if value is not None}
        return jwt.encode(self._signer, said).decode()

    def signed(self, header, claims):
        """A token with any header."""
        parts = ".".join(coded(json.dumps(part).encode()) for part in (header, claims))
        return f"{parts}.{coded(self._signer.sign(parts.encode()))}"


def claims_of(token):
    """What a token says."""
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
