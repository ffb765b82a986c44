"""Converters that devices have of their own, where no device has one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from zope.interface import implementer

from iotgw.core.ports.devices import IOwnConverters


@implementer(IOwnConverters)
class NoOwnConverters:
    """Every device has what its datasource says."""

    def own_converters(self, tenant: str) -> Collection[str]:
        """See `IOwnConverters.own_converters`."""
        return ()

    def own_converter(self, tenant: str, names: Iterable[str]) -> str:
        """See `IOwnConverters.own_converter`."""
        return ""

    def watch_own_converters(self, callback: Callable[[str], None]) -> None:
        """See `IOwnConverters.watch_own_converters`."""
