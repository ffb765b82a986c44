"""`IOwnConverters` in a dict."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from zope.interface import implementer

from iotgw.core.ports.devices import IOwnConverters


@implementer(IOwnConverters)
class MemoryOwnConverters:
    """Converters that devices have of their own: ``devices`` has their names by the devices' names."""

    def __init__(self) -> None:
        self.devices: dict[str, str] = {}
        self._watchers: list[Callable[[str], None]] = []

    def give(self, device: str, converter: str, tenant: str = "default") -> None:
        """Give a device a converter of its own."""
        self.devices[device] = converter
        for callback in self._watchers:
            callback(tenant)

    def own_converters(self, tenant: str) -> Collection[str]:
        """See `IOwnConverters.own_converters`."""
        return set(self.devices.values())

    def own_converter(self, tenant: str, names: Iterable[str]) -> str:
        """See `IOwnConverters.own_converter`."""
        return next((self.devices[name] for name in names if name in self.devices), "")

    def watch_own_converters(self, callback: Callable[[str], None]) -> None:
        """See `IOwnConverters.watch_own_converters`."""
        self._watchers.append(callback)
