"""One connection to the API: JSON in, JSON out; whatever goes wrong is one line."""

from __future__ import annotations

import http.client
import json
import os
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from iotgw.ctl.defaults import DEFAULT_TOKEN_FILE
from iotgw.ctl.errors import REFUSED, UNREACHABLE, USAGE, CtlError

__all__ = ["REFUSED", "UNREACHABLE", "USAGE", "ApiClient", "CtlError", "find_token"]


WHOLE = frozenset(
    {
        "backups",
        "health",
        "library",
        "metrics",
        "nodes",
        "openapi.json",
        "presets",
        "resume",
        "session",
        "tenants",
        "tokens",
    }
)
"""Where paths begin that are about no single tenant."""


class ApiClient:
    """Speaks to the API at ``url`` with a token; ``timeout`` in seconds. What it asks is about ``tenant``, where that is said."""

    def __init__(
        self,
        url: str,
        token: str,
        timeout: float = 60.0,
        ca_file: str | None = None,
        tenant: str | None = None,
    ) -> None:
        self.tenant = tenant
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise CtlError(f"--url: expected http://HOST:PORT or https://HOST:PORT, got {url!r}", USAGE)
        self._where = f"{parts.scheme}://{parts.netloc}"
        self._base = parts.path.rstrip("/")
        self._token = token
        self._connection: http.client.HTTPConnection
        try:
            if parts.scheme == "https":
                context = ssl.create_default_context(cafile=ca_file)
                self._connection = http.client.HTTPSConnection(
                    parts.hostname, parts.port, timeout=timeout, context=context
                )
            else:
                self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
        except (OSError, ValueError) as error:
            raise CtlError(f"--url: {error}", USAGE) from error

    def get(self, path: str, **query: Any) -> Any:
        """Read; parameters that are None are left out."""
        given = {name: value for name, value in query.items() if value is not None}
        return self.call("GET", path + (f"?{urlencode(given)}" if given else ""))

    def events(self, path: str, **query: Any) -> Iterator[tuple[str, Any]]:
        """Read a stream of events as they come: each one's name and value. Raises CtlError."""
        given = {name: value for name, value in query.items() if value is not None}
        headers = {"Accept": "text/event-stream"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            self._connection.request("GET", f"{self._base}/api/v1{path}?{urlencode(given)}", None, headers)
            response = self._connection.getresponse()
            if response.status != 200:
                self._value(response.status, response.read())
            name = ""
            while line := response.readline():
                field, _, text = line.decode("utf-8", "replace").rstrip("\n").partition(": ")
                if field == "event":
                    name = text
                elif field == "data":
                    yield name, json.loads(text)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._unreachable(error) from error

    def call(
        self, method: str, path: str, value: Any = None, more_headers: Mapping[str, str] | None = None
    ) -> Any:
        """Call an operation below `/api/v1`; returns the answer's JSON value, or None. Raises CtlError."""
        if value is not None:
            return self._send(method, path, json.dumps(value).encode(), "application/json", more_headers)
        return self._send(method, path, b"" if method in ("POST", "PUT") else None, "", more_headers)

    def upload(self, method: str, path: str, content: bytes) -> Any:
        """Call an operation that takes bytes. Raises CtlError."""
        return self._send(method, path, content, "application/octet-stream")

    def _send(
        self,
        method: str,
        path: str,
        body: bytes | None,
        kind: str = "",
        more_headers: Mapping[str, str] | None = None,
    ) -> Any:
        headers = {"Accept": "application/json", **(more_headers or {})}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        if kind:
            headers["Content-Type"] = kind
        try:
            self._connection.request(method, f"{self._base}/api/v1{self._of_tenant(path)}", body, headers)
            response = self._connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error
        return self._value(response.status, text)

    def _unreachable(self, error: Exception) -> CtlError:
        self._connection.close()
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return CtlError(f"cannot reach the gateway at {self._where}: {reason}", UNREACHABLE)

    def _of_tenant(self, path: str) -> str:
        """A path with the tenant that it is about, unless it is about the whole gateway, or says it by itself."""
        route, mark, query = path.partition("?")
        is_said = any(each.startswith("tenant=") for each in query.split("&"))
        if self.tenant is None or is_said or route.split("/")[1] in WHOLE:
            return path
        return f"{path}{'&' if mark else '?'}{urlencode({'tenant': self.tenant})}"

    def _value(self, status: int, text: bytes) -> Any:
        try:
            value = json.loads(text) if text else None
        except ValueError as error:
            raise CtlError(
                f"{self._where} does not answer like an iotgw (status {status})", UNREACHABLE
            ) from error
        if status < 400:
            return value
        detail = ""
        if isinstance(value, dict):
            detail = str(value.get("detail") or value.get("title") or "")
        if status == 401:
            detail += " (give --token-file, or the token in IOTGW_TOKEN)"
        raise CtlError(detail or f"status {status}", UNREACHABLE if status >= 500 else REFUSED, status)


def find_token(file: str | None) -> str:
    """The token: of the file that was named, of IOTGW_TOKEN, or of the default file; empty for none."""
    if file is None:
        if token := os.environ.get("IOTGW_TOKEN"):
            return token.strip()
        if not Path(DEFAULT_TOKEN_FILE).exists():
            return ""
    try:
        return Path(file or DEFAULT_TOKEN_FILE).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise CtlError(f"--token-file: cannot read {file or DEFAULT_TOKEN_FILE}: {reason}", USAGE) from error
