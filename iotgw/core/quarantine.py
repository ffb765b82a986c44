"""No quarantine: everybody is known."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence

from zope.interface import implementer

from iotgw.core.errors import NotFound
from iotgw.core.ports.devices import HeldDevice, IQuarantine


@implementer(IQuarantine)
class NoQuarantine:
    """Every device is known, and none waits."""

    def is_known(self, tenant: str, device: str) -> bool:
        """See `IQuarantine.is_known`."""
        return True

    def has_room(self, tenant: str, devices: Sequence[str]) -> bool:
        """See `IQuarantine.has_room`."""
        return False

    def hold(
        self, tenant: str, device: str, datasource: str, seq: int, received_ms: int, body: bytes = b""
    ) -> None:
        """See `IQuarantine.hold`."""

    def list(self, tenant: str, after: str, limit: int) -> builtins.list[HeldDevice]:
        """See `IQuarantine.list`."""
        return []

    def get(self, tenant: str, device: str) -> HeldDevice:
        """See `IQuarantine.get`."""
        raise NotFound(f"device {device!r} is not in quarantine")

    def count(self, tenant: str | None) -> int:
        """See `IQuarantine.count`."""
        return 0

    def came_by(self, tenant: str, datasource: str) -> dict[str, int]:
        """See `IQuarantine.came_by`."""
        return {}

    def listen(self, callback: Callable[[str, str, bool], None]) -> None:
        """See `IQuarantine.listen`."""
