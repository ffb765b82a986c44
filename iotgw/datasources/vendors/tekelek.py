"""``tekelek``: Tekelek's level sensors over TCP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from msgspec import Meta, Struct

from iotgw.core.secrets import Secret
from iotgw.datasources.socket.dialogues import DialogueType
from iotgw.datasources.socket.stream import Seconds, StreamSettings
from iotgw.envelopes.dialogue import Dialogue
from iotgw.envelopes.tekelek import TekelekDialogue, zone
from iotgw.wire.tekelek.command import CLOSING


class TekelekDevice(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What is set for one device, by its IMEI."""

    password: Annotated[Secret, Meta(description="The device's password, which its commands carry.")] = ""
    tank_height: Annotated[
        Annotated[float, Meta(gt=0)] | None,
        Meta(description="In cm; used to compute `level` from ullage.", extra_json_schema={"x-unit": "cm"}),
    ] = None
    s26: Annotated[
        str | None, Meta(description="Register S26 in hexadecimal: what a logger's value counts.")
    ] = None
    time_zone: Annotated[
        str | None, Meta(description="The time zone of its clock, such as `Europe/Berlin`.")
    ] = None

    def __post_init__(self) -> None:
        """Refuse a time zone that nobody knows."""
        if self.time_zone is not None:
            zone(self.time_zone)


class TekelekSettings(StreamSettings, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Settings of a ``tekelek`` datasource."""

    port: Annotated[
        int,
        Meta(ge=0, le=65535, description="TCP port; the devices' S16. Older set-ups use 54345."),
    ] = 55345
    time_zone: Annotated[
        str, Meta(description="Time zone of the devices' clocks; a frame carries hh:mm without a zone.")
    ] = "UTC"
    password: Annotated[
        Secret, Meta(description="Password of the devices; empty is the factory default, the product's name.")
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
        zone(self.time_zone)


class TekelekType(DialogueType):
    """The ``tekelek`` datasources of a gateway."""

    name = "tekelek"
    settings = TekelekSettings

    def dialogues(self, settings: TekelekSettings) -> Callable[[], Dialogue]:
        """See `DialogueType.dialogues`."""
        return lambda: TekelekDialogue(settings)
