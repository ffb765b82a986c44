"""Shared access signatures of Azure IoT Hub: tokens that the gateway makes from a policy's key, and makes anew before they end.

Source: "Control access to IoT Hub by using shared access signatures" in Azure's documents.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable
from urllib.parse import quote

from iotgw.connect.own_token import OwnToken


def signature(resource: str, key: bytes, policy: str, until: int) -> str:
    """A token for a resource such as a hub's host name. ``until`` is in seconds since 1970; ``policy`` is empty for a device's own
    key."""
    place = quote(resource, safe="")
    mac = base64.b64encode(hmac.digest(key, f"{place}\n{until}".encode(), "sha256")).decode()
    token = f"SharedAccessSignature sr={place}&sig={quote(mac, safe='')}&se={until}"
    return f"{token}&skn={quote(policy, safe='')}" if policy else token


class SasToken(OwnToken):
    """The token of a hub, as a policy's key makes it."""

    def __init__(self, resource: str, key: bytes, policy: str, date: Callable[[], float]) -> None:
        super().__init__([base64.b64encode(key).decode()], date)
        self._resource, self._key, self._policy = resource, key, policy

    def made(self, now: float, until: float) -> bytes:
        """See `OwnToken.made`."""
        return signature(self._resource, self._key, self._policy, int(until)).encode()
