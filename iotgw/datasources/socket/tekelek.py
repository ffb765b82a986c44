"""Tekelek devices over TCP.

A device connects, sends a frame, and listens on the same connection for some minutes. It is answered when
its frame is durable: with the commands that wait for it in one line, or else with the closing commands,
after which the connection is closed. Commands that ask for something bring another frame on the same
connection, so it stays open for them.
"""

from __future__ import annotations

from typing import Annotated, Any
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from iotgw.core import plain_json
from iotgw.core.model import Answer, Downlink, Metadata
from iotgw.core.ports.datasources import DatasourceContext, IDatasource, IDatasourceType
from iotgw.core.secrets import Secret
from iotgw.datasources.socket.connection import Connection
from iotgw.datasources.socket.stream import Listener, Seconds, StreamSettings
from iotgw.wire.framing import Fault
from iotgw.wire.tekelek import TekelekFramer, command_line, expected_answers, metadata
from iotgw.wire.tekelek.command import CLOSING, ends_session
from iotgw.wire.tekelek.products import PRODUCTS

PER_LINE = 8
"""Commands from the queue in one line to the device."""


class TekelekDevice(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What is set for one device, by its IMEI."""

    password: Secret = ""
    tank_height: Annotated[
        Annotated[float, Meta(gt=0)] | None, Meta(description="In cm; gives `level` from ullage.")
    ] = None
    s26: Annotated[
        str | None, Meta(description="Register S26 in hexadecimal: what a logger's value counts.")
    ] = None
    time_zone: str | None = None

    def __post_init__(self) -> None:
        """Refuse a time zone that nobody knows."""
        if self.time_zone is not None:
            _zone(self.time_zone)


class TekelekSettings(StreamSettings, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Settings of a ``tekelek`` datasource."""

    port: Annotated[
        int,
        Meta(ge=0, le=65535, description="TCP port; the devices' S16. Older set-ups use 54345."),
    ] = 55345
    time_zone: Annotated[
        str, Meta(description="What the devices' clocks run on; a frame carries hh:mm without a zone.")
    ] = "UTC"
    password: Annotated[
        Secret, Meta(description="Password of the devices; empty is the factory's, the product's name.")
    ] = ""
    closing_commands: Annotated[
        str,
        Meta(
            description="Sent when nothing is queued or expected, before the connection is closed; may be empty."
        ),
    ] = CLOSING
    command_crc: Annotated[
        bool, Meta(description="Add `Z=<CRC>` to commands, for devices whose S3 asks for it.")
    ] = False
    command_crlf: Annotated[bool, Meta(description="End a line of commands with CR and LF.")] = True
    answer_timeout: Annotated[
        Seconds, Meta(description="How long a device has for the frames that commands asked for.")
    ] = 60.0
    linger: Annotated[
        float,
        Meta(ge=0, description="How long the connection stays open after the closing commands."),
    ] = 2.0
    devices: Annotated[
        dict[str, TekelekDevice],
        Meta(
            description="By IMEI: `password`, `tankHeight` (cm), `s26`, `timeZone`; the last three are metadata."
        ),
    ] = {}

    def __post_init__(self) -> None:
        """Refuse a wrong interface, or a time zone that nobody knows."""
        super().__post_init__()
        _zone(self.time_zone)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"expected a time zone such as Europe/Berlin, got {name!r}") from error


@implementer(IDatasourceType)
class TekelekType:
    """The ``tekelek`` datasources of a gateway."""

    name = "tekelek"
    settings = TekelekSettings

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def build(self, settings: TekelekSettings, context: DatasourceContext) -> TekelekDatasource:
        """See `IDatasourceType.build`."""
        return TekelekDatasource(settings, context)


@implementer(IDatasource)
class TekelekDatasource(Listener):
    """A port for Tekelek devices."""

    settings: TekelekSettings

    def __init__(self, settings: TekelekSettings, context: DatasourceContext) -> None:
        super().__init__(settings, context, lambda connection: TekelekSession(connection, settings))


class TekelekSession:
    """One device's connection, from its first frame to the closing commands."""

    _log = Logger()

    def __init__(self, connection: Connection, settings: TekelekSettings) -> None:
        self._connection = connection
        self._settings = settings
        self._framer = TekelekFramer()
        self._imei = ""
        self._password = settings.password
        self._unanswered = 0
        self._expected = 0
        self._sent: list[Downlink] = []
        self._timer: Any = None
        self._is_closing = False
        self._is_fetching = False
        self._forget: Any = None

    # --- from the device ---

    @property
    def pending(self) -> int:
        """See `iotgw.datasources.socket.connection.Session`."""
        return self._framer.pending

    def received(self, data: bytes) -> None:
        """See `iotgw.datasources.socket.connection.Session`."""
        for event in self._framer.feed(data):
            if isinstance(event, Fault):
                self._fault(event)
            else:
                self._frame(event.data)

    def ended(self) -> None:
        """See `iotgw.datasources.socket.connection.Session`."""
        for event in self._framer.close():
            if isinstance(event, Fault):
                self._fault(event)

    def closed(self, clean: bool) -> None:
        """See `iotgw.datasources.socket.connection.Session`."""
        self._cancel()
        self._be_unreachable()
        for downlink in self._sent:
            if not clean:
                self._connection.intake.downlink_lost(downlink, "the connection broke")
            elif self._connection.is_heard:
                self._connection.intake.downlink_delivered(downlink)
        self._sent = []

    def _fault(self, fault: Fault) -> None:
        self._connection.reject(fault.data, {"identity": self._imei} if self._imei else {}, fault.reason)
        self._connection.close()

    def _frame(self, frame: bytes) -> None:
        connection, settings = self._connection, self._settings
        now_ms = connection.now_ms()
        facts = metadata(frame, now_ms, _zone(settings.time_zone))
        imei = facts.get("imei", self._imei)
        device = settings.devices.get(imei)
        if device is not None and device.time_zone is not None:
            facts = metadata(frame, now_ms, _zone(device.time_zone))
        self._remember(imei, facts, device)
        if device is not None:
            facts |= _known(device)
        # a frame after commands proves that they arrived
        for downlink in self._sent:
            connection.intake.downlink_delivered(downlink)
        self._sent = []
        self._expected = max(0, self._expected - 1)
        self._unanswered += 1
        if not self._is_closing:
            self._cancel()
        facts |= connection.metadata | {"identity": imei, "receivedTime": now_ms}
        connection.submit(frame, facts, self._answered)

    def _remember(self, imei: str, facts: Metadata, device: TekelekDevice | None) -> None:
        if imei != self._imei:
            self._be_unreachable()
            self._forget = self._connection.intake.reachable(imei, self._command)
        self._imei = imei
        product = PRODUCTS.get(facts.get("productCode", -1))
        if device is not None and device.password:
            self._password = device.password
        elif not self._password and product is not None:
            self._password = product.password

    def _be_unreachable(self) -> None:
        forget, self._forget = self._forget, None
        if forget is not None:
            forget()

    # --- to the device ---

    def _answered(self, answer: Answer) -> None:
        self._unanswered -= 1
        if answer.downlinks:
            self._fetch_more(answer.downlinks)
        else:
            self._settle()

    def _fetch_more(self, first: tuple[Downlink, ...]) -> None:
        """The rest of the queue goes out in the same line."""
        if not self._connection.is_open:
            self._lose(first, "the device closed the connection")
            return
        self._is_fetching = True
        self._connection.preparing()  # a device that has said everything still hears them
        more: Deferred[tuple[Downlink, ...]] = self._connection.intake.downlinks(
            self._imei, PER_LINE - len(first)
        )
        more.addErrback(lambda _: ())
        more.addCallback(lambda rest: self._command((*first, *rest)))
        more.addErrback(lambda failure: self._log.failure("commands could not be sent", failure))
        more.addCallback(lambda _: self._connection.prepared())

    def _command(self, downlinks: tuple[Downlink, ...]) -> None:
        """Send commands: those of an answer, or what was queued while the session is open."""
        self._is_fetching = False
        good: list[Downlink] = []
        texts: list[str] = []
        for downlink in downlinks:
            try:
                text = _text(downlink.payload)
                command_line(self._password, [text])
            except ValueError as error:
                self._lose((downlink,), str(error))
            else:
                good.append(downlink)
                texts.append(text)
        if not self._connection.is_open:
            self._lose(tuple(good), "the device closed the connection")
            return
        if good:
            self._write(texts)
            for downlink in good:
                self._connection.intake.downlink_sent(downlink)
            self._sent += good
            self._expected += expected_answers(texts)
        self._settle(is_ending=ends_session(texts))

    def _lose(self, downlinks: tuple[Downlink, ...], reason: str) -> None:
        for downlink in downlinks:
            self._connection.intake.downlink_lost(downlink, reason)

    def _write(self, texts: list[str]) -> None:
        settings = self._settings
        self._connection.write(
            command_line(
                self._password, texts, with_crc=settings.command_crc, with_crlf=settings.command_crlf
            )
        )

    def _settle(self, is_ending: bool = False) -> None:
        """Wait for what was asked for, or end the session."""
        if self._unanswered or self._is_fetching or self._is_closing or not self._connection.is_open:
            return
        if self._expected and not is_ending:
            self._cancel()
            self._timer = self._connection.clock.callLater(self._settings.answer_timeout, self._give_up)
        else:
            self._close(is_ending)

    def _give_up(self) -> None:
        self._expected = 0
        self._settle()

    def _close(self, is_ended: bool) -> None:
        self._is_closing = True
        self._be_unreachable()
        if self._settings.closing_commands and not is_ended and self._password:
            self._write([self._settings.closing_commands])
        self._cancel()
        # frames that are on their way are still welcome, they only get no answer
        self._timer = self._connection.clock.callLater(self._settings.linger, self._connection.close)

    def _cancel(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()


class _Raw(Struct):
    """Lobaro's form of a raw downlink."""

    data: str
    format: str = "ASCII"


def _text(payload: bytes) -> str:
    """The command text of a downlink; also of Lobaro's ``{"format": "ASCII", "data": "…"}``. Raises ValueError."""
    if payload.startswith(b"{"):
        try:
            return plain_json.decode(payload, _Raw).data
        except plain_json.NotJson as error:
            raise ValueError(f'expected {{"format": "ASCII", "data": "…"}}: {error}') from error
    try:
        return payload.decode("ascii")
    except UnicodeDecodeError as error:
        raise ValueError("expected a Tekelek command in ASCII") from error


def _known(device: TekelekDevice) -> Metadata:
    facts: Metadata = {}
    if device.tank_height is not None:
        facts["tankHeight"] = device.tank_height
    if device.s26 is not None:
        facts["s26"] = device.s26
    return facts
