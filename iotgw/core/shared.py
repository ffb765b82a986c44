"""Resources that the datasources of a gateway share, whatever their types; each is found by its class."""

from __future__ import annotations

from typing import TypeVar

from iotgw.core.errors import SettingsError


class SharedResource:
    """Base of a resource that exists once per gateway for all datasources, such as its CoAP ports or its
    listener's paths."""


T = TypeVar("T", bound=SharedResource)


class SharedResources:
    """The shared resources of one gateway, at most one of each class."""

    def __init__(self, *resources: SharedResource) -> None:
        self._resources: dict[type[SharedResource], SharedResource] = {
            type(resource): resource for resource in resources
        }

    def get(self, kind: type[T]) -> T:
        """The resource of a class. Raises SettingsError when this gateway has none."""
        found = self._resources.get(kind)
        if not isinstance(found, kind):
            there = ", ".join(sorted(each.__name__ for each in self._resources)) or "nothing"
            raise SettingsError(
                "type", f"expected a gateway that shares {kind.__name__}; this one shares {there}"
            )
        return found
