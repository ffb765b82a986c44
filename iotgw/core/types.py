"""The type registry: which kinds of datasources and integrations there are, built in or from a third party."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import entry_points
from inspect import signature
from itertools import chain
from typing import Any, Protocol

from msgspec import Struct

from iotgw.core.errors import SettingsError
from iotgw.core.model import Metadata
from iotgw.core.ports.connect import IConnector
from iotgw.core.secrets import revealed
from iotgw.core.validate import convert


class Type(Protocol):
    """What both kinds of types have; see `iotgw.core.ports.datasources.IDatasourceType`."""

    @property
    def name(self) -> str:
        """The ``type`` of its resources."""

    @property
    def settings(self) -> type[Struct]:
        """The Struct of their ``configuration``."""

    def build(self, settings: Any, context: Any) -> Any:
        """Make the running thing."""


class DatasourceContext(Struct, frozen=True):
    """What a datasource is given besides its settings.

    ``intake`` is an `iotgw.core.ports.datasources.IIntake`; ``metadata`` are the datasource's static keys, which the
    gateway adds to each message by itself; ``registry`` an `iotgw.core.ports.registry.IRegistry`; ``data_dir`` a path.
    """

    id: str
    name: str
    tenant: str
    routing_key: str
    metadata: Metadata
    intake: Any
    reactor: Any
    registry: Any = None
    data_dir: str = ""


class IntegrationContext(Struct, frozen=True):
    """What an integration is given besides its settings.

    ``spec`` is its `iotgw.core.specs.IntegrationSpec`; ``epoch`` the journal's (for message ids);
    ``datasource_name`` maps a datasource's id to its name; ``downlink(tenant, device, item)`` puts a
    downlink that the target sent into the queue; ``event(type, message, severity, **detail)`` records.
    A target with a connection calls ``available()`` when it has one (again), so that nobody waits longer.
    """

    id: str
    name: str
    tenant: str
    spec: Any
    epoch: str
    reactor: Any
    datasource_name: Callable[[str], str]
    event: Callable[..., None]
    downlink: Callable[..., Any] | None = None
    unseal: Callable[[str], str] | None = None
    data_dir: str = ""
    available: Callable[[], None] = lambda: None


def made(factory: Callable[..., Type], reactor: Any, connector: IConnector | None) -> Type:
    """The type that a factory makes: ``f(reactor)``, ``f(reactor, connector)`` or ``f(reactor, forbid)``, as the
    names of its parameters say. ``forbid`` are the networks of ``connector``, for a type with its own way out.
    """
    if connector is None:
        return factory(reactor)
    try:
        takes = signature(factory).parameters
    except ValueError:  # written in C, and silent about it
        return factory(reactor)
    if "connector" in takes:
        return factory(reactor, connector=connector)
    if "forbid" in takes:
        return factory(reactor, forbid=connector.forbid)
    return factory(reactor)


class Types:
    """The types of one direction, by name: the built-in ones and those of an entry point group.

    Types that reach out get ``connector``, the gateway's way out.
    """

    def __init__(
        self,
        group: str,
        reactor: Any,
        builtin: Iterable[Callable[..., Type]],
        connector: IConnector | None = None,
    ) -> None:
        self._types: dict[str, Type] = {}
        third_party = (point.load() for point in entry_points(group=group))
        for factory in chain(builtin, third_party):
            self.register(made(factory, reactor, connector))

    def register(self, type_: Type) -> None:
        """Add a type; raises SettingsError when its name is taken."""
        if type_.name in self._types:
            raise SettingsError("type", f"two types are called {type_.name!r}")
        self._types[type_.name] = type_

    def __iter__(self) -> Iterator[Type]:
        return iter(self._types.values())

    def get(self, name: str) -> Type:
        """The type of that name; raises SettingsError."""
        found = self._types.get(name)
        if found is None:
            raise SettingsError("type", f"expected one of {', '.join(sorted(self._types))}, got {name!r}")
        return found

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
