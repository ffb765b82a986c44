"""A simulated subscription of Google Pub/Sub that pushes: it signs its requests, and publishes its key where Google would."""

from __future__ import annotations

import base64
import json
import random
from functools import cache

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from twisted.web.resource import Resource
from twisted.web.server import Request

from iotgw.simulate.device import Reaction
from iotgw.simulate.http import HttpSensor
from iotgw.simulate.plain import JsonSensor

KIND = "google-pubsub-push"
SUBSCRIPTION = "projects/simulated/subscriptions/readings"
AUDIENCE = "https://gateway.example"
ACCOUNT = "push@simulated.iam.gserviceaccount.com"
ISSUER = "https://accounts.google.com"
LIFE = 3600


@cache
def private_key() -> RSAPrivateKey:
    """The key of this process, which no other has."""
    return generate_private_key(65537, 2048)


def key_set() -> bytes:
    """Its public half, as Google publishes its own (RFC 7517)."""
    numbers = private_key().public_key().public_numbers()
    key = {
        "kty": "RSA",
        "alg": "RS256",
        "use": "sig",
        "kid": _name(),
        "n": _number(numbers.n),
        "e": _number(numbers.e),
    }
    return json.dumps({"keys": [key]}).encode()


def token(now: int) -> str:
    """A token of a date in seconds since 1970."""
    claims = {
        "iss": ISSUER, "aud": AUDIENCE, "email": ACCOUNT, "email_verified": True, "sub": "1137", "iat": now, "exp": now + LIFE,
    }  # fmt: skip
    head = {"alg": "RS256", "kid": _name(), "typ": "JWT"}
    signed = ".".join(_coded(json.dumps(part).encode()) for part in (head, claims))
    return f"{signed}.{_coded(private_key().sign(signed.encode(), PKCS1v15(), SHA256()))}"


class PublishedKeys(Resource):
    """What is asked for the keys."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def render_GET(self, request: Request) -> bytes:
        """The keys, whatever the path."""
        request.setHeader(b"content-type", b"application/json")
        request.setHeader(b"cache-control", b"public, max-age=3600")
        return key_set()


class PushedSensor(HttpSensor):
    """A thermometer whose readings a subscription pushes. One that isn't answered with success comes again."""

    def __init__(self, rng: random.Random, path: str = f"/i/demo-{KIND}") -> None:
        super().__init__(rng, path)
        self._message = b""
        """The body that isn't acknowledged."""

    def uplink(self, now_ms: int) -> bytes:
        """A request."""
        self._heard = b""
        if not self._message:
            self._message = self._wrapped(JsonSensor.uplink(self, now_ms))
        head = (
            f"POST {self._path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nUser-Agent: APIs-Google\r\n"
            f"Authorization: Bearer {token(now_ms // 1000)}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(self._message)}\r\n\r\n"
        )
        return head.encode() + self._message

    def received(self, data: bytes, now_ms: int) -> Reaction:
        """2xx acknowledges."""
        reaction = super().received(data, now_ms)
        if reaction.is_answer:
            self._message = b""
        return Reaction(is_done=reaction.is_done, is_answer=reaction.is_answer)  # a body is no downlink here

    def _wrapped(self, data: bytes) -> bytes:
        id = str(self._rng.randrange(10**15, 10**16))
        message = {
            "data": base64.b64encode(data).decode(),
            "attributes": {"serial": self.identity},
            "messageId": id,
        }
        return json.dumps({"message": message, "subscription": SUBSCRIPTION}).encode()


def _name() -> str:
    return f"simulated-{private_key().public_key().public_numbers().n:x}"[:40]


def _number(value: int) -> str:
    return _coded(value.to_bytes((value.bit_length() + 7) // 8))


def _coded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
