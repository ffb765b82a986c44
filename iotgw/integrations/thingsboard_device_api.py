"""The requests of ThingsBoard's HTTP device API, as bytes.

https://thingsboard.io/docs/reference/http-api/
"""

from __future__ import annotations

from urllib.parse import quote

from iotgw import __version__
from iotgw.integrations.http_request import server
from iotgw.wire.http1 import request_head


class DeviceApi:
    """The API of the server at ``url``; raises SettingsError."""

    def __init__(self, url: str) -> None:
        self.server = server(url)
        self._base = self.server.target.rstrip("/") + "/api/v1/"

    def get(self, token: str, what: str) -> bytes:
        """A GET of what stands after a device's token."""
        return self._head("GET", f"{quote(token, safe='')}/{what}") + b"\r\n"

    def post(self, token: str, what: str, body: bytes) -> bytes:
        """A POST of JSON."""
        return self._post(f"{quote(token, safe='')}/{what}", body)

    def provision(self, body: bytes) -> bytes:
        """The request of a device's token."""
        return self._post("provision", body)

    def _post(self, path: str, body: bytes) -> bytes:
        return b"%bContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
            self._head("POST", path), len(body), body,
        )  # fmt: skip

    def _head(self, method: str, path: str) -> bytes:
        headers = [("Host", self.server.netloc), ("User-Agent", f"iotgw/{__version__}")]
        return request_head(method, self._base + path, headers)
