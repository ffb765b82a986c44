"""Where devices send to, as a URL: as a datasource's status says it, and as seen from whoever asks the gateway."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urljoin, urlsplit

EVERYWHERE = ("0.0.0.0", "::")


def url(scheme: str, host: str, port: int, *path: str) -> str:
    """The URL of a path, whose segments are given, at an address that a listener has: one for all addresses stays that."""
    where = f"[{host}]" if ":" in host else host
    return f"{scheme}://{where}:{port}" + "".join("/" + quote(segment, safe="") for segment in path)


def urls(status: dict[str, Any], gateway: str) -> list[str]:
    """The URLs of a datasource with this status. ``gateway`` is the API's URL: its listener is what relative ones mean, and
    its host what listens at all addresses."""
    return [_seen(each, gateway) for each in status.get("urls", ())]


def _seen(url: str, gateway: str) -> str:
    parts, api = urlsplit(urljoin(gateway, url)), urlsplit(gateway)
    if parts.hostname not in EVERYWHERE:
        return parts.geturl()
    host = api.hostname or "127.0.0.1"
    where = f"[{host}]" if ":" in host else host
    return parts._replace(netloc=f"{where}:{parts.port}").geturl()
