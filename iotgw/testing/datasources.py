"""A datasource and its type that a test controls, and a datasource's context."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from iotgw.core.model import DEFAULT_TENANT, Downlink, Metadata
from iotgw.core.needs import Need
from iotgw.core.ports.checkpoints import ICheckpoints
from iotgw.core.ports.credentials import ICredentials
from iotgw.core.ports.datasources import DatasourceContext, IForgets, IHasSessions, INeeds, IPushes
from iotgw.core.ports.files import IOperatorFiles
from iotgw.core.ports.intake import IIntake
from iotgw.core.ports.kept import IKept
from iotgw.core.ports.reactor import IReactor
from iotgw.core.shared import SharedResources
from iotgw.testing.checkpoints import MemoryCheckpoints
from iotgw.testing.credentials import MemoryCredentials
from iotgw.testing.intake import FakeIntake
from iotgw.testing.kept import MemoryKept
from iotgw.testing.reactor import MemoryReactor


def datasource_context(
    intake: IIntake | None = None,
    reactor: IReactor | None = None,
    credentials: ICredentials | None = None,
    *,
    id: str = "ds",
    name: str = "field",
    tenant: str = DEFAULT_TENANT,
    routing_key: str = "key",
    metadata: Metadata | None = None,
    data_dir: str = "",
    shares: SharedResources | None = None,
    files: IOperatorFiles | None = None,
    checkpoints: ICheckpoints | None = None,
    kept: IKept | None = None,
) -> DatasourceContext:
    """A datasource's context, made of doubles unless given otherwise."""
    return DatasourceContext(
        id=id, name=name, tenant=tenant, routing_key=routing_key, metadata=metadata or {},
        intake=FakeIntake() if intake is None else intake,
        reactor=MemoryReactor() if reactor is None else reactor,
        credentials=MemoryCredentials() if credentials is None else credentials,
        data_dir=data_dir,
        shares=SharedResources() if shares is None else shares,
        files=files,
        checkpoints=MemoryCheckpoints() if checkpoints is None else checkpoints,
        kept=MemoryKept() if kept is None else kept,
    )  # fmt: skip


@implementer(IPushes, IHasSessions)
class FakeDatasource:
    """A datasource that does nothing by itself: a test talks to ``context.intake``, and reads what was ``pushed``."""

    def __init__(self, settings: Any, context: DatasourceContext) -> None:
        self.settings = settings
        self.context = context
        self.running = False
        self.can_push = True
        self.pushed: list[tuple[Metadata, tuple[Downlink, ...]]] = []
        self.open_sessions: list[dict[str, Any]] = []

    def start(self) -> Deferred[None]:
        """See `IDatasource.start`."""
        self.running = True
        return succeed(None)

    def stop(self) -> Deferred[None]:
        """See `IDatasource.stop`."""
        self.running = False
        return succeed(None)

    def status(self) -> dict[str, Any]:
        """See `IDatasource.status`."""
        return {"state": "listening" if self.running else "stopped", "address": "here"}

    def push(self, metadata: Metadata, downlinks: tuple[Downlink, ...]) -> None:
        """See `IPushes.push`."""
        self.pushed.append((metadata, downlinks))

    def sessions(self) -> list[dict[str, Any]]:
        """See `IHasSessions.sessions`."""
        return list(self.open_sessions)

    def end(self, session: str) -> bool:
        """See `IHasSessions.end`."""
        left = [each for each in self.open_sessions if each["id"] != session]
        ended = len(left) < len(self.open_sessions)
        self.open_sessions = left
        return ended


class NoSettings(Struct):
    """Nothing can be set."""


@implementer(IForgets, INeeds)
class FakeDatasourceType:
    """The type of `FakeDatasource`, or of settings alone. ``built`` are its datasources by name, ``forgotten`` the names
    of those that left for good, ``needed`` what each needs."""

    def __init__(self, name: str = "fake", settings: type[Struct] = NoSettings) -> None:
        self.name = name
        self.settings = settings
        self.built: dict[str, FakeDatasource] = {}
        self.forgotten: list[str] = []
        self.needed: list[Need] = []

    def build(self, settings: Any, context: DatasourceContext) -> FakeDatasource:
        """See `IDatasourceType.build`."""
        self.built[context.name] = FakeDatasource(settings, context)
        return self.built[context.name]

    def forget(self, settings: Any, context: DatasourceContext, successor: Any) -> Deferred[None] | None:
        """See `IForgets.forget`."""
        self.forgotten.append(context.name)
        return None

    def needs(self, settings: Any, context: DatasourceContext) -> list[Need]:
        """See `INeeds.needs`."""
        return self.needed
