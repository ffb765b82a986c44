"""Where a datasource is open. Listeners are open on every node; what connects to somewhere by itself, such as a subscription, on one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from iotgw.core.errors import IotgwError
from iotgw.core.ports.datasources import IDatasourceType, IRunsOnce
from iotgw.core.ports.nodes import ILeases
from iotgw.core.specs import DatasourceSpec
from iotgw.core.types import Types


class IPlaces(Protocol):
    """Says which datasources are open here."""

    def listen(self, moved: Callable[[str], Any]) -> None:
        """``moved(id)`` is called when the answer of `is_here` changes for a datasource."""

    def is_here(self, id: str, spec: DatasourceSpec, is_enabled: bool) -> bool:
        """Whether a datasource is to be open here, now that its settings are these."""

    def is_elsewhere(self, id: str) -> bool:
        """Whether it is open on another node, as far as this one knows."""


class Here:
    """All that is enabled."""

    def listen(self, moved: Callable[[str], Any]) -> None:
        """See `IPlaces.listen`: it never changes."""

    def is_here(self, id: str, spec: DatasourceSpec, is_enabled: bool) -> bool:
        """See `IPlaces.is_here`."""
        return is_enabled

    def is_elsewhere(self, id: str) -> bool:
        """See `IPlaces.is_elsewhere`."""
        return False


class Nowhere(Here):
    """Nothing: what is stored is converted, and nothing comes in."""

    def is_here(self, id: str, spec: DatasourceSpec, is_enabled: bool) -> bool:
        """See `IPlaces.is_here`."""
        return False


class LeasedPlaces:
    """By lease, for types that run once (`IRunsOnce`)."""

    def __init__(self, leases: ILeases, types: Types[IDatasourceType]) -> None:
        self._leases = leases
        self._types = types
        self._moved: Callable[[str], Any] = lambda id: None
        self._sought: set[str] = set()

    def listen(self, moved: Callable[[str], Any]) -> None:
        """See `IPlaces.listen`."""
        self._moved = moved

    def is_here(self, id: str, spec: DatasourceSpec, is_enabled: bool) -> bool:
        """See `IPlaces.is_here`."""
        what = _what(id)
        if is_enabled and self._runs_once(spec.type):
            if id not in self._sought:
                self._sought.add(id)
                self._leases.seek(what, partial(self._moved, id))
            return self._leases.holds(what)
        if id in self._sought:
            self._sought.discard(id)
            self._leases.give_up(what)
        return is_enabled

    def is_elsewhere(self, id: str) -> bool:
        """See `IPlaces.is_elsewhere`."""
        return id in self._sought and not self._leases.holds(_what(id))

    def _runs_once(self, type_: str) -> bool:
        try:
            return bool(IRunsOnce.providedBy(self._types.get(type_)))
        except IotgwError:  # whoever opens it says so
            return False


def _what(id: str) -> str:
    return f"datasource/{id}"
