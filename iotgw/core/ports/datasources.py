"""What a datasource offers, and what it is given."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from iotgw.core.model import Downlink, Metadata
from iotgw.core.ports.credentials import ICredentials
from iotgw.core.ports.intake import IIntake
from iotgw.core.ports.reactor import IReactor


class DatasourceContext(Struct, frozen=True):
    """What a datasource is given besides its settings.

    ``metadata`` are the datasource's static keys, which the pipeline adds to each message by itself;
    ``credentials`` what devices prove themselves with, ``data_dir`` a path for files of its own.
    ``created_ms`` is when the datasource was saved first, in milliseconds since 1970; 0 is unknown.
    """

    id: str
    name: str
    tenant: str
    routing_key: str
    metadata: Metadata
    intake: IIntake
    reactor: IReactor
    credentials: ICredentials
    data_dir: str = ""
    created_ms: int = 0


class IDatasource(Interface):
    """A running datasource."""

    def start() -> Deferred[None]:
        """Open the listener or the subscription; fires when it is open, or fails."""

    def stop() -> Deferred[None]:
        """Close it; fires when nothing more will come in."""

    def status() -> dict[str, Any]:
        """For the API, as JSON: ``{"state": "listening", "address": "udp 0.0.0.0:5683", …}``."""


class IPushes(IDatasource):
    """A datasource that can send to a device without being asked."""

    can_push: bool = Attribute("False where its settings say that devices take nothing but answers")

    def push(metadata: Metadata, downlinks: tuple[Downlink, ...]) -> None:
        """Send `model.Downlink` items to the device whose last uplink had this metadata, and report each to the
        intake."""


class IHasSessions(IDatasource):
    """A datasource whose devices have sessions with it that a person may look at and end."""

    def sessions() -> list[dict[str, Any]]:
        """The open ones, as JSON, each with its ``id``."""

    def end(session: str) -> bool:
        """End one by its id; False when there is none."""


class IDatasourceType(Interface):
    """A kind of datasource. One instance per gateway, made as ``factory(reactor)``: what its datasources
    share (a UDP port) lives on it. Third parties name the factory in the entry point group
    ``iotgw.datasources``."""

    name: str = Attribute("the ``type`` of a datasource")
    settings: type[Struct] = Attribute(
        "the Struct of ``configuration``; its definitions make schema and docs"
    )

    def build(settings: Any, context: DatasourceContext) -> IDatasource:
        """Make a datasource from an instance of ``settings``. Raises SettingsError."""


class IForgets(IDatasourceType):
    """A type whose datasources leave something with others, such as a session at a broker."""

    def forget(settings: Any, context: DatasourceContext, successor: Any) -> Deferred[None] | None:
        """A datasource with these settings is closed and won't come back: it was deleted (``successor`` is
        None), or has the settings ``successor`` now. Let go of what others keep for it, in bounded time. None when
        there is nothing to do."""
