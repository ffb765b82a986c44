"""Tekelek devices over TCP, without I/O.

A device connects, sends a frame, and listens on the same connection for some minutes. It is answered when its
frame is durable: with its queued commands in one line, or else with the closing commands, after which the
connection is closed. Some commands make the device send another frame, so the connection stays open for that.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Protocol
from zoneinfo import ZoneInfo

from msgspec import Struct

from iotgw.core import plain_json
from iotgw.core.model import Downlink, Metadata
from iotgw.envelopes.dialogue import (
    Action,
    Actions,
    Ask,
    Close,
    Confirmed,
    Lost,
    Reachable,
    Submit,
    Unreachable,
    Wait,
    Write,
    at_close,
)
from iotgw.envelopes.envelope import Malformed, Reading
from iotgw.wire.framing import Fault
from iotgw.wire.tekelek import TekelekFramer, command_line, expected_answers, metadata
from iotgw.wire.tekelek.command import ends_session
from iotgw.wire.tekelek.products import PRODUCTS

PER_LINE = 8
"""Commands from the queue in one line to the device."""


class TekelekDeviceOptions(Protocol):
    """What is set for one device."""

    @property
    def password(self) -> str:
        """Its password; empty is the default for all devices."""

    @property
    def tank_height(self) -> float | None:
        """In cm."""

    @property
    def s26(self) -> str | None:
        """Register S26 in hexadecimal."""

    @property
    def time_zone(self) -> str | None:
        """Time zone of its clock; None is the default for all devices."""


class TekelekOptions(Protocol):
    """The settings for all devices; times are seconds. `iotgw.datasources.vendors.tekelek` describes them."""

    @property
    def time_zone(self) -> str:
        """Time zone of the devices' clocks."""

    @property
    def password(self) -> str:
        """Empty is the factory default."""

    @property
    def closing_commands(self) -> str:
        """May be empty."""

    @property
    def command_crc(self) -> bool:
        """Whether a line of commands has a CRC."""

    @property
    def command_crlf(self) -> bool:
        """Whether it has a line end."""

    @property
    def answer_timeout(self) -> float:
        """How long a device has for the frames that commands asked for."""

    @property
    def linger(self) -> float:
        """How long the connection stays open after the closing commands."""

    @property
    def devices(self) -> Mapping[str, TekelekDeviceOptions]:
        """By IMEI."""


def zone(name: str) -> ZoneInfo:
    """A time zone by its name; raises ValueError."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError, RecursionError) as error:
        raise ValueError(f"expected a time zone such as Europe/Berlin, got {name[:60]!r}") from error


class TekelekDialogue:
    """One device's connection, from its first frame to the closing commands."""

    def __init__(self, options: TekelekOptions) -> None:
        self._options = options
        self._framer = TekelekFramer()
        self._imei = ""
        self._is_reachable = False
        self._password = options.password
        self._unanswered = 0
        """Frames that are not durable yet."""
        self._expected = 0
        """Frames that commands have asked for."""
        self._sent: list[Downlink] = []
        self._is_closing = False
        self._is_fetching = False

    # --- from the device ---

    @property
    def pending(self) -> int:
        """See `Dialogue.pending`."""
        return self._framer.pending

    def received(self, data: bytes, now_ms: int) -> Actions:
        """See `Dialogue.received`."""
        actions: list[Action] = []
        for event in self._framer.feed(data):
            actions += self._fault(event) if isinstance(event, Fault) else self._frame(event.data, now_ms)
        return actions

    def ended(self, now_ms: int) -> Actions:
        """See `Dialogue.ended`."""
        return [
            action
            for event in self._framer.close()
            if isinstance(event, Fault)
            for action in self._fault(event)
        ]

    def closed(self, is_clean: bool, is_heard: bool) -> Actions:
        """See `Dialogue.closed`."""
        sent, self._sent = self._sent, []
        return at_close(sent, is_clean, is_heard)

    def _fault(self, fault: Fault) -> list[Action]:
        whose: Metadata = {"identity": self._imei} if self._imei else {}
        return [Malformed(fault.data, fault.reason, whose), Close()]

    def _frame(self, frame: bytes, now_ms: int) -> list[Action]:
        options = self._options
        facts = metadata(frame, now_ms, zone(options.time_zone))
        imei = facts.get("imei", self._imei)
        device = options.devices.get(imei)
        if device is not None and device.time_zone is not None:
            facts = metadata(frame, now_ms, zone(device.time_zone))
        actions = self._meet(imei, facts, device)
        if device is not None:
            facts |= _known(device)
        if self._sent:
            # a frame after commands proves that they arrived
            actions.append(Confirmed(tuple(self._sent)))
            self._sent = []
        self._expected = max(0, self._expected - 1)
        self._unanswered += 1
        if not self._is_closing:
            actions.append(Wait(None))
        facts |= {"identity": imei, "receivedTime": now_ms}
        actions.append(Submit(Reading(frame, facts, imei)))
        return actions

    def _meet(self, imei: str, facts: Metadata, device: TekelekDeviceOptions | None) -> list[Action]:
        actions: list[Action] = []
        if imei != self._imei:
            actions += self._be_unreachable()
            self._is_reachable = True
            actions.append(Reachable(imei))
        self._imei = imei
        product = PRODUCTS.get(facts.get("productCode", -1))
        if device is not None and device.password:
            self._password = device.password
        elif not self._password and product is not None:
            self._password = product.password
        return actions

    def _be_unreachable(self) -> list[Action]:
        was_reachable, self._is_reachable = self._is_reachable, False
        return [Unreachable(self._imei)] if was_reachable else []

    # --- to the device ---

    def answered(self, identity: str, items: tuple[Downlink, ...]) -> Actions:
        """See `Dialogue.answered`: the rest of the queue goes out in the same line."""
        self._unanswered -= 1
        if items:
            self._is_fetching = True
            return [Ask(self._imei, PER_LINE - len(items), items)]
        return self._settle()

    def command(self, identity: str, items: tuple[Downlink, ...]) -> Actions:
        """See `Dialogue.command`: downlinks that were asked for, or queued while the session is open."""
        self._is_fetching = False
        actions: list[Action] = []
        good: list[Downlink] = []
        texts: list[str] = []
        for item in items:
            try:
                text = _text(item.payload)
                command_line(self._password, [text])
            except ValueError as error:
                actions.append(Lost((item,), str(error)))
            else:
                good.append(item)
                texts.append(text)
        if good:
            actions.append(Write(self._line(texts), tuple(good)))
            self._sent += good
            self._expected += expected_answers(texts)
        return [*actions, *self._settle(is_ending=ends_session(texts))]

    def woke(self, now_ms: int) -> Actions:
        """See `Dialogue.woke`: an answer didn't come in time, or the device has had its time to sleep."""
        if self._is_closing:
            return [Close()]
        self._expected = 0
        return self._settle()

    def _line(self, texts: list[str]) -> bytes:
        options = self._options
        return command_line(
            self._password, texts, with_crc=options.command_crc, with_crlf=options.command_crlf
        )

    def _settle(self, is_ending: bool = False) -> list[Action]:
        """Wait for the requested frames, or end the session."""
        if self._unanswered or self._is_fetching or self._is_closing:
            return []
        if self._expected and not is_ending:
            return [Wait(self._options.answer_timeout)]
        return self._close(is_ending)

    def _close(self, is_ended: bool) -> list[Action]:
        self._is_closing = True
        actions = self._be_unreachable()
        if self._options.closing_commands and not is_ended and self._password:
            with suppress(ValueError):  # settings that no line can carry
                actions.append(Write(self._line([self._options.closing_commands])))
        # frames that are on their way are still accepted, but get no answer
        actions.append(Wait(self._options.linger))
        return actions


class _Raw(Struct):
    """Lobaro's form of a raw downlink."""

    data: str
    format: str = "ASCII"


def _text(payload: bytes) -> str:
    """The command text of a downlink; also of Lobaro's ``{"format": "ASCII", "data": "…"}``. Raises ValueError."""
    if payload.startswith(b"{"):
        try:
            raw: _Raw = plain_json.decode(payload, _Raw)
            return raw.data
        except plain_json.NotJson as error:
            raise ValueError(f'expected {{"format": "ASCII", "data": "…"}}: {error}') from error
    try:
        return payload.decode("ascii")
    except UnicodeDecodeError as error:
        raise ValueError("expected a Tekelek command in ASCII") from error


def _known(device: TekelekDeviceOptions) -> Metadata:
    facts: Metadata = {}
    if device.tank_height is not None:
        facts["tankHeight"] = device.tank_height
    if device.s26 is not None:
        facts["s26"] = device.s26
    return facts
