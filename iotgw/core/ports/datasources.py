"""Datasources: what they offer, and what they are given."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, TypeVar

from msgspec import Struct
from twisted.internet.defer import Deferred, succeed
from zope.interface import Attribute, Interface

from iotgw.core.model import Downlink, Metadata
from iotgw.core.needs import Need
from iotgw.core.networks import EVERYWHERE, Networks
from iotgw.core.ports.checkpoints import ICheckpoints
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.credentials import ICredentials
from iotgw.core.ports.files import IOperatorFiles
from iotgw.core.ports.intake import IIntake
from iotgw.core.ports.kept import IKept
from iotgw.core.ports.reactor import IReactor
from iotgw.core.shared import SharedResource, SharedResources
from iotgw.core.times import DateMs

T = TypeVar("T", bound=SharedResource)


class DatasourceContext(Struct, frozen=True):
    """What a datasource is given besides its settings.

    ``metadata`` are the datasource's static keys, which the pipeline adds to each message by itself;
    ``credentials`` what devices prove themselves with, ``data_dir`` a path for files of its own.
    ``created_ms`` is when the datasource was saved first, in milliseconds since 1970; 0 is unknown.
    ``shares`` is what it shares with others; ask `shared` for it. Timers and waits go by the ``reactor``'s time, dates by
    ``calendar``, or `date_ms`. Peers at addresses that ``allow`` doesn't have are to be turned away; see
    `IChecksAddresses`. ``files`` are the operator's, such as certificates; ask `read_files` for them. ``checkpoints`` keep its places
    in a stream whose broker doesn't. ``kept`` has what it keeps over restarts, under its ``id``.
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
    shares: SharedResources = SharedResources()
    calendar: ICalendar | None = None
    allow: Networks = EVERYWHERE
    files: IOperatorFiles | None = None
    checkpoints: ICheckpoints | None = None
    kept: IKept | None = None

    def read_files(self, names: Collection[str]) -> Deferred[dict[str, bytes]]:
        """The operator's files that settings name, by their names, read in a thread; see `IOperatorFiles.read`."""
        if self.files is None or not names:
            return succeed({})
        return self.files.read(self.tenant, names)

    def date_ms(self) -> DateMs:
        """The date in milliseconds since 1970."""
        return DateMs(int((self.calendar or self.reactor).seconds() * 1000))

    def shared(self, kind: type[T]) -> T:
        """What all datasources of this gateway share, by its class, such as `iotgw.extension.CoapPorts`.

        Raises SettingsError when this gateway has no such thing.
        """
        return self.shares.get(kind)


class IDatasource(Interface):
    """A running datasource."""

    def start() -> Deferred[None]:
        """Open the listener or the subscription; fires when it is open, or fails."""

    def stop() -> Deferred[None]:
        """Close it; fires when no more messages will come in."""

    def status() -> dict[str, Any]:
        """For the API, as JSON: ``{"state": "listening", "address": "udp 0.0.0.0:5683", …}``."""


class IPushes(IDatasource):
    """A datasource that can send to a device without being asked."""

    can_push: bool = Attribute("False where its settings say that devices take nothing but answers")

    def push(metadata: Metadata, downlinks: tuple[Downlink, ...]) -> None:
        """Send `model.Downlink` items to the device whose last uplink had this metadata, and report each to the
        intake."""


class IKeepsDownlinks(IPushes):
    """A datasource behind which a network may keep downlinks until their devices listen."""

    keeps_downlinks: bool = Attribute("whether one does, so that a downlink may be sent at any time")


class IHasSessions(IDatasource):
    """A datasource whose devices have sessions that a user may list and end."""

    def sessions() -> list[dict[str, Any]]:
        """The open sessions, as JSON, each with its ``id``."""

    def end(session: str) -> bool:
        """End a session by its id; False if there is none."""


class IDatasourceType(Interface):
    """A kind of datasource. One instance per gateway, made as ``factory(reactor)``. What its datasources share with
    those of other types is in their contexts. Third parties name the factory in the entry point group
    ``iotgw.datasources``."""

    name: str = Attribute("the ``type`` of a datasource")
    settings: type[Struct] = Attribute(
        "the Struct of ``configuration``; its definitions make schema and docs"
    )

    def build(settings: Any, context: DatasourceContext) -> IDatasource:
        """Make a datasource from an instance of ``settings``. Raises SettingsError."""


class IVouches(IDatasourceType):
    """A type whose datasources may hear of devices from somebody who knows them: a broker, a platform."""

    def vouches(settings: Any) -> bool:
        """Whether a datasource with these settings starts trusted to speak for any device (``speaksFor``)."""


class IChecksAddresses(IDatasourceType):
    """A type whose datasources turn away peers whose addresses `DatasourceContext.allow` doesn't have, before anything
    that they send is looked at, and tell `IIntake.refuse`. No other type's datasource is opened with ``allow``."""


class IListens(IDatasourceType):
    """A type whose datasources have listeners."""

    def open_to_all(settings: Any, context: DatasourceContext) -> str:
        """Why anybody who reaches a datasource with these settings may send to it, as a sentence without its end;
        empty if its senders have to prove or to know something, or only this machine reaches it."""


class IRunsOnce(IDatasourceType):
    """A type whose datasources connect to somewhere by themselves, and get there what another one would get as well. Of several nodes, one
    runs such a datasource."""


class IForgets(IDatasourceType):
    """A type whose datasources leave something on other systems, such as a session at a broker."""

    def forget(settings: Any, context: DatasourceContext, successor: Any) -> Deferred[None] | None:
        """A datasource with these settings is closed for good: it was deleted (``successor`` is None), or has
        the settings ``successor`` now. Remove what other systems keep for it, in bounded time. Returns None if
        there is nothing to do."""


class SetUp(Struct, frozen=True, omit_defaults=True):
    """What a user types in on the other side, so that it sends to a datasource: a URL, headers, and fields by the names that
    they have there. ``url`` begins with ``{gateway}`` where only the user knows the gateway's public name. No secret is
    in it."""

    url: str = ""
    headers: dict[str, str] = {}
    fields: dict[str, str] = {}
    note: str = ""


class ISetsUp(IDatasourceType):
    """A type some of whose datasources have something to type in on the other side."""

    def setup(settings: Any, routing_key: str) -> SetUp | None:
        """What that is for a datasource with these settings; None if there is nothing."""


class PresetAbout(Struct, frozen=True, rename="camel"):
    """A platform that a type knows by name. ``unverified`` is what no public document confirms, empty if that is nothing.
    ``proof`` is how the platform proves itself: ``header``, ``basic``, ``signature`` (the setting ``secret``) or ``none``.
    ``downlinks`` are the ways that downlinks take: ``api``, ``mqtt``, ``answer``. ``api`` are the names that ``downlinkApi`` asks
    for."""

    name: str
    title: str
    type: str
    unverified: str = ""
    proof: str = "none"
    downlinks: list[str] = []
    api: list[str] = []
    note: str = ""


class IHasPresets(IDatasourceType):
    """A type whose ``configuration`` may name a platform as ``preset``."""

    def presets() -> Sequence[PresetAbout]:
        """The platforms that come with the gateway."""


class INeeds(IDatasourceType):
    """A type whose datasources open ports or serve paths."""

    def needs(settings: Any, context: DatasourceContext) -> Sequence[Need]:
        """What a datasource with these settings will open. The gateway doesn't open the datasource while
        another one uses any of it, and says which one."""
