"""How many processes a gateway may have."""

from __future__ import annotations

from iotgw.config.settings import Settings
from iotgw.core.errors import SettingsError

MOST = 64


def check(count: int, settings: Settings) -> None:
    """Raise SettingsError where so many processes can't work with these settings."""
    if not 1 <= count <= MOST:
        raise SettingsError("--processes", f"expected 1 to {MOST}, got {count}")
    if count == 1:
        return
    if not settings.store.url:
        problem = "expected a database for several processes (`store.url`): with its data in files, a gateway is one process (docs/nodes.md)"
        raise SettingsError("--processes", problem)
    if not settings.api.startswith(("tcp:", "tcp4:", "tcp6:", "ssl:")):
        problem = f"expected a TCP port for several processes, which they share, got {settings.api!r}"
        raise SettingsError("api", problem)
