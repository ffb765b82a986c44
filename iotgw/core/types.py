"""The registry of types of datasources and integrations, built in or from third parties."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from importlib.metadata import entry_points
from inspect import signature
from itertools import chain
from typing import Any, Generic, Protocol, TypeVar

from msgspec import Struct

from iotgw.core.errors import SettingsError
from iotgw.core.model import Metadata
from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.reactor import IReactor
from iotgw.core.secrets import revealed
from iotgw.core.validate import convert


class Type(Protocol):
    """What datasource types and integration types have in common; see
    `iotgw.core.ports.datasources.IDatasourceType`."""

    @property
    def name(self) -> str:
        """The ``type`` of its resources."""

    @property
    def settings(self) -> type[Struct]:
        """The Struct of their ``configuration``."""


T = TypeVar("T", bound=Type)


def made(factory: Callable[..., T], reactor: IReactor, connector: IConnector | None) -> T:
    """The type that a factory makes: ``f(reactor)``, ``f(reactor, connector)`` or ``f(reactor, forbid)``, as the
    names of its parameters say. ``forbid`` are the networks of ``connector``, for a type with its own way out.
    """
    if connector is None:
        return factory(reactor)
    try:
        takes = signature(factory).parameters
    except ValueError:  # a C function without a signature
        return factory(reactor)
    if "connector" in takes:
        return factory(reactor, connector=connector)
    if "forbid" in takes:
        return factory(reactor, forbid=connector.forbid)
    return factory(reactor)


class Types(Generic[T]):
    """The types of one direction, by name: the built-in ones and those of an entry point group.

    Types that make outgoing connections get ``connector``. ``look`` is part of `look_at`.
    """

    def __init__(
        self,
        group: str,
        reactor: IReactor,
        builtin: Iterable[Callable[..., T]],
        connector: IConnector | None = None,
        look: Callable[[Any], None] = lambda value: None,
    ) -> None:
        self._look = look
        self._types: dict[str, T] = {}
        third_party = (point.load() for point in entry_points(group=group))
        for factory in chain(builtin, third_party):
            self.register(made(factory, reactor, connector))

    def register(self, type_: T) -> None:
        """Add a type; raises SettingsError when its name is taken."""
        if type_.name in self._types:
            raise SettingsError("type", f"two types are called {type_.name!r}")
        self._types[type_.name] = type_

    def __iter__(self) -> Iterator[T]:
        return iter(self._types.values())

    def get(self, name: str) -> T:
        """The type of that name; raises SettingsError."""
        found = self._types.get(name)
        if found is None:
            raise SettingsError("type", f"expected one of {', '.join(sorted(self._types))}, got {name!r}")
        return found

    def look_at(self, name: str, configuration: Metadata, more: Any = None) -> None:
        """Look at what somebody wants to save, in any thread: what takes long in that, such as the expressions of a preset, is remembered when
        it is configured and built. ``more`` is what else belongs to it. Never raises."""
        with suppress(Exception):  # `configure` says what is wrong with it
            self.configure(name, configuration)
        self._look([configuration, more])

    def configure(
        self, name: str, configuration: Metadata, unseal: Callable[[str], str] | None = None
    ) -> Any:
        """Validate a ``configuration`` for a type: its settings Struct; raises SettingsError.

        With ``unseal`` (`IRegistry.unseal`) the `Secret` fields of a stored configuration come in the clear.
        """
        settings = self.get(name).settings
        if unseal is not None:
            configuration = revealed(configuration, settings, unseal)
        return convert(configuration, settings, "configuration")
