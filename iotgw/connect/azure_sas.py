"""Shared access signatures of Azure IoT Hub: tokens that the gateway makes from a policy's key, and makes anew before they end.

Source: "Control access to IoT Hub by using shared access signatures" in Azure's documents.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable
from urllib.parse import quote

LIFE = 3600.0
"""Seconds for which a token counts."""
EARLY = 300.0
"""Seconds before its end at which a token is replaced."""


def signature(resource: str, key: bytes, policy: str, until: int) -> str:
    """A token for a resource such as a hub's host name. ``until`` is in seconds since 1970; ``policy`` is empty for a device's own
    key."""
    place = quote(resource, safe="")
    mac = base64.b64encode(hmac.digest(key, f"{place}\n{until}".encode(), "sha256")).decode()
    token = f"SharedAccessSignature sr={place}&sig={quote(mac, safe='')}&se={until}"
    return f"{token}&skn={quote(policy, safe='')}" if policy else token


class SasToken:
    """An `iotgw.connect.http_auth.Authenticator`. ``date()`` gives the date in seconds since 1970."""

    def __init__(self, resource: str, key: bytes, policy: str, date: Callable[[], float]) -> None:
        self.header = b""
        self.secrets = [base64.b64encode(key).decode()]
        self._resource, self._key, self._policy = resource, key, policy
        self._date = date
        self._until = 0.0

    def sign(self, head: bytes, body: bytes) -> bytes:
        """The header with the present token."""
        return self.header

    def ready(self) -> bool:
        """Always: a token that ends soon is replaced."""
        now = self._date()
        if not now < self._until - EARLY < now + LIFE:
            self._until = now + LIFE
            token = signature(self._resource, self._key, self._policy, int(self._until))
            self.header = f"Authorization: {token}\r\n".encode()
        return True

    def refresh(self, done: Callable[[str], None]) -> None:
        """Nothing to do."""
        done("")

    def refused(self) -> None:
        """The hub didn't take it: the next one is new."""
        self._until = 0.0

    def close(self) -> None:
        """Nothing to do."""
