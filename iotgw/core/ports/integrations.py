"""A target as the delivery service sees it, and what it is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from msgspec import Struct
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from iotgw.core.epochs import Epochs
from iotgw.core.model import TelemetryRecord
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.intake import Severity
from iotgw.core.ports.reactor import IReactor
from iotgw.core.specs import IntegrationSpec
from iotgw.core.verdict import Verdict

Settle = Callable[[Sequence[int], Verdict], None]
"""``settle(seqs, verdict)``: reports the outcome of the records at these positions."""


class Queued(Struct, frozen=True):
    """What became of a downlink that a target sent. Without a ``reason`` it is durable. Otherwise it isn't queued: ``is_final`` is
    whether it never will be; if not, the gateway can't store it now, and may be asked again."""

    reason: str = ""
    is_final: bool = True


QUEUED = Queued()
QueueDownlink = Callable[[str, str, dict[str, Any]], Deferred[Queued]]
"""``downlink(tenant, device, item)``: queue what a target sent for a device. Fires with what became of it, once that is durable, and
never fails; a final refusal is an event too. Acknowledge to the target what it sent only then."""


Show = Callable[[TelemetryRecord, str, str], None]
"""``show(record, request, answer)``: what was sent of a test message, and what came back, in full and without secrets."""


Shown = Callable[[Sequence[TelemetryRecord]], TelemetryRecord | None]
"""``shown(records)``: of records that are sent together, the one for which what is exchanged is to be shown; None for none."""


def only_tests(records: Sequence[TelemetryRecord]) -> TelemetryRecord | None:
    """A `Shown` for test messages, whose position is negative."""
    return records[0] if records[0].seq < 0 else None


class Tell(Protocol):
    """Records an event of one integration, under the name that it has then."""

    def __call__(self, type: str, message: str, severity: Severity = "info", **detail: Any) -> None:
        """``detail`` are JSON values."""


class IntegrationContext(Struct, frozen=True):
    """What an integration is given besides its settings.

    ``epochs`` are the journal's (for message ids and keys); ``datasource_name`` maps a datasource's id to its name;
    ``downlink`` is None where nothing may be sent to devices. A target with a connection calls ``available()``
    when it has one (again), so that records are sent without further delay. Timers and waits go by the ``reactor``'s time,
    dates by ``calendar``, or `date`. A target that can asks by ``shown`` for which record it shows what it exchanges, such as a test message's, whose position is
    negative, and shows it by ``show`` before it settles the record. While it is built, ``warn`` says what a user should know of its settings (``warnings`` in its
    status). Files of its own are in ``data_dir``, under names that end with ``-ID.json`` (`iotgw.core.own_file`): they go with the
    integration. What is secret in them is encrypted by ``seal``, and read again by ``unseal``. Where another node may have taken over meanwhile, as of an
    integration that is `single`, ``is_ours()`` tells; a target asks before it changes what others write, too.
    """

    id: str
    name: str
    tenant: str
    spec: IntegrationSpec
    epochs: Epochs
    reactor: IReactor
    datasource_name: Callable[[str], str]
    event: Tell
    downlink: QueueDownlink | None = None
    data_dir: str = ""
    available: Callable[[], None] = lambda: None
    calendar: ICalendar | None = None
    warn: Callable[[str], None] = lambda text: None
    show: Show = lambda record, request, answer: None
    shown: Shown = only_tests
    seal: Callable[[str], str] = str
    unseal: Callable[[str], str] = str
    is_ours: Callable[[], bool] = lambda: True

    def date(self) -> float:
        """The date in seconds since 1970."""
        return (self.calendar or self.reactor).seconds()

    def comes_again(self) -> bool:
        """Whether it may have been this date before, because the machine's clock was set back since."""
        return self.calendar is not None and self.calendar.comes_again(self.calendar.now_ms())

    @property
    def epoch(self) -> Epochs:
        """The former name of ``epochs``, for packages that give it to `iotgw.extension.message_id`."""
        return self.epochs


class IIntegration(Interface):
    """A running target."""

    capacity: int = Attribute("how many records may be in flight at once")
    max_batch: int = Attribute("the most records that one `send` may carry")
    whole: bool = Attribute("one `send` is one request, so it may carry several records of one device")

    def start() -> Deferred[None]:
        """Start. A failed connection is not an error: it is retried."""

    def stop() -> Deferred[None]:
        """Close connections. Records in flight may be settled, but need not be."""

    def send(records: list[TelemetryRecord], settle: Settle) -> None:
        """Send records; call ``settle(seqs, verdict)`` for each of them exactly once, in groups as they come.
        Does not raise."""

    def check() -> Deferred[dict[str, Any]]:
        """Connect and authenticate without delivering anything: ``{"ok", "detail"}``, and ``untried``: a list of what could not be
        tried so."""

    def status() -> dict[str, Any]:
        """For the API, as JSON: ``{"state": "connected" | "connecting" | …, "lastError": …}``."""


class IIntegrationType(Interface):
    """A kind of integration; as `IDatasourceType`, made as ``factory(reactor, forbid=networks)``, entry point group
    ``iotgw.integrations``."""

    name: str = Attribute("the ``type`` of an integration")
    settings: type[Struct] = Attribute("the Struct of ``configuration``")

    def build(settings: Any, context: IntegrationContext) -> IIntegration:
        """Make a target from an instance of ``settings``. Raises SettingsError."""
