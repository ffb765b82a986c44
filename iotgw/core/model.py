"""The data model as frozen values: what the rooms pass to each other.

Times (``_ms``) are dates in milliseconds since 1970 UTC, sizes are bytes. What users save is in `iotgw.core.specs`.
Values that users see are camelCase in JSON. This module imports no other room.
"""

from __future__ import annotations

import enum
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from iotgw.core.times import DateMs

Metadata = dict[str, Any]
"""Facts about a message; JSON values only."""

DEFAULT_TENANT = "default"


class Uplink(Struct, frozen=True, gc=False):
    """A message from a device as a datasource hands it in.

    ``datasource`` is the datasource's id. ``metadata`` is the JSON text of the message's metadata: it is
    encoded once on arrival and spliced from then on.
    """

    tenant: str
    datasource: str
    received_ms: DateMs
    payload: bytes
    metadata: bytes


class StoredUplink(Struct, frozen=True, gc=False):
    """An uplink and its position in the journal's ``uplink`` stream."""

    seq: int
    uplink: Uplink


class Output(Struct, frozen=True, gc=False):
    """What a converter made of one uplink for one device (or asset).

    ``body`` is canonical JSON: an object ``{"deviceName", "deviceType", ["assetName", "assetType",
    "customerName", "groupName",] "attributes": {…}, "telemetry": [{"ts", "values"}]}``. Outputs of one
    ``shape`` have the same keys and one reading of the time when the uplink was received; 0 says nothing.
    """

    device_name: str
    device_type: str
    body: bytes
    shape: int = 0


class ConversionError(Struct, frozen=True, rename="camel", omit_defaults=True):
    """Why a conversion failed."""

    message: Annotated[str, Meta(description="What went wrong.")]
    stage: Annotated[str, Meta(description="Where it went wrong, such as `converter`.")] = "converter"
    name: Annotated[str, Meta(description="The kind of the error, as JavaScript names it.")] = "Error"
    line: Annotated[int | None, Meta(description="The line in the script, from 1.")] = None
    column: Annotated[int | None, Meta(description="The column in that line, from 1.")] = None
    stack: Annotated[str, Meta(description="How the script got there.")] = ""
    file: Annotated[str, Meta(description="Which file of the script it is; empty is the first.")] = ""
    devices: Annotated[
        tuple[str, ...], Meta(description="The devices that nobody knows, where these are the reason.")
    ] = ()


class State(enum.IntEnum):
    """What became of an uplink."""

    RECEIVED = 0
    CONVERTED = 1
    FILTERED = 2
    FAILED = 3


class DeviceReply(Struct, frozen=True, gc=False):
    """What a converter has the sender of a message answered: these very bytes, whatever the datasource's protocol.

    ``topic`` is where it is published over MQTT; empty for the datasource's own setting.
    """

    payload: bytes
    content_type: Literal["JSON", "TEXT", "BINARY"] = "BINARY"
    topic: str = ""


class Aside(Struct, frozen=True, gc=False):
    """What a converter says to the sender of a message, beside telemetry.

    ``facts`` are added to the metadata of later messages on the same connection; None takes one away.
    """

    reply: DeviceReply | None = None
    facts: Metadata = {}


class Outcome(Struct, frozen=True, gc=False):
    """The end of one uplink's conversion.

    ``converter`` names the version that did it (``"{id}/{version}"``), empty when none ran. ``received_ms``
    is the uplink's; the journal looks it up where it is 0. ``aside`` is for the sender, who may be waiting; the journal
    doesn't keep it.
    """

    seq: int
    state: State
    converter: str
    outputs: tuple[Output, ...] = ()
    error: ConversionError | None = None
    received_ms: DateMs = DateMs(0)
    aside: Aside | None = None


class Kind(enum.IntEnum):
    """What a record of the ``telemetry`` stream is."""

    TELEMETRY = 0
    EVENT = 1
    UNREADABLE = 2
    """A placeholder for a record that the journal can no longer read. Only its ``seq`` means something; its ``body``
    says why."""


class TelemetryRecord(Struct, frozen=True, gc=False):
    """One device's output of one uplink, with its position in the ``telemetry`` stream.

    ``uplink`` is the position of the uplink it came from (0 for an event); ``body`` and ``shape`` as in
    `Output`, but the journal doesn't keep the shape.
    """

    seq: int
    uplink: int
    tenant: str
    datasource: str
    received_ms: DateMs
    device_name: str
    device_type: str
    body: bytes
    kind: Kind = Kind.TELEMETRY
    shape: int = 0


class ConverterVersion(Struct, frozen=True):
    """An immutable version of a user's script, ready to run.

    ``dialect`` and ``engine`` are decided when the script is saved. ``time_limit`` is CPU seconds per call; with 0,
    the option ``timeLimit`` or the gateway's setting holds.
    """

    id: str
    version: int
    name: str
    direction: Literal["UPLINK", "DOWNLINK"]
    script: str
    dialect: str
    engine: str
    tenant: str = DEFAULT_TENANT
    time_limit: float = 0.0
    options: dict[str, Any] = {}
    files: dict[str, str] = {}
    """What the script may ``require``, by path."""

    @property
    def key(self) -> str:
        """The permanent name of this version: ``"{id}/{version}"``."""
        return f"{self.id}/{self.version}"

    @property
    def length(self) -> int:
        """Characters of the script and its files."""
        return len(self.script) + sum(map(len, self.files.values()))


class Job(Struct, frozen=True, gc=False):
    """One uplink to convert. ``metadata`` is JSON text; ``received_ms`` stands in for a missing ``ts``."""

    converter: ConverterVersion
    payload: bytes
    metadata: bytes
    received_ms: DateMs
    seq: int = 0


class Conversion(Struct, frozen=True, gc=False, omit_defaults=True):
    """The result of one `Job`: outputs, or an error. No output and no error means filtered."""

    outputs: tuple[Output, ...] = ()
    error: ConversionError | None = None
    warnings: tuple[str, ...] = ()
    logs: tuple[str, ...] = ()
    acks: tuple[bytes, ...] = ()
    """``downlinkAck`` objects of the output, each as JSON text, with the ``deviceName`` from the same
    output."""
    aside: Aside | None = None
    """What the output says to the sender."""


Became = Literal["sent", "delivered", "acknowledged", "lost", "refused"]
"""What a network says of a downlink. ``sent``: it left, which is all that is ever known of one that need not be
confirmed. ``lost``: it may be tried again. ``refused``: the network would refuse it again."""


class Downlink(Struct, frozen=True, gc=False):
    """A payload on its way to a device. ``id`` is its queue item's; ``metadata`` from its converter. ``confirmed``: the
    device must say that it got it. ``msg_type`` is what its sender called it, ``attempt`` counts from 1."""

    id: str
    device: str
    payload: bytes
    content_type: Literal["JSON", "TEXT", "BINARY"] = "BINARY"
    metadata: Metadata = {}
    confirmed: bool = False
    msg_type: str = "downlink"
    attempt: int = 1


class Status(enum.Enum):
    """What a datasource tells the device about its uplink."""

    STORED = "stored"  # durable (and converted, where the datasource replies after conversion)
    BUSY = "busy"  # not taken: the gateway is full; come back later
    TOO_LARGE = "too large"  # not taken: larger than the journal accepts
    REFUSED = "refused"  # the gateway doesn't know the device, and takes nothing of it
    FAILED = "failed"  # durable, but its conversion failed (only where the reply waits for conversion)


class Answer(Struct, frozen=True, gc=False):
    """What the gateway tells a datasource about an uplink.

    ``retry_after`` is in seconds (for BUSY, which is because of a limit where ``is_limited``). ``downlinks`` go out with the reply; the datasource reports
    each with `iotgw.core.ports.datasources.IIntake.downlink_sent` and its kin. ``reply`` is the converter's, and goes before them.
    ``facts`` belong to the metadata of later messages on the same connection (`Aside.facts`).
    """

    status: Status
    message_id: str = ""
    retry_after: float = 0.0
    downlinks: tuple[Downlink, ...] = ()
    reply: DeviceReply | None = None
    facts: Metadata | None = None
    is_limited: bool = False


STORED = Answer(Status.STORED)


class DeliveryState(enum.IntEnum):
    """The state of a delivery. DELIVERED and all that follow are final."""

    QUEUED = 0
    INFLIGHT = 1
    RETRYING = 2
    DELIVERED = 3
    DEAD = 4
    EXPIRED = 5
    DROPPED = 6


class Attempt(Struct, frozen=True, array_like=True, gc=False):
    """A failed attempt of a delivery: its time in milliseconds of gateway time, and the beginning of what the target said."""

    at_ms: int
    answer: str


class Parked(Struct, frozen=True, gc=False):
    """A delivery that failed for its own reason or waits behind one that did, with a copy of its record.

    ``next_try_ms`` is 0 for a delivery that waits behind an earlier one of its device. ``tries`` are the latest of its attempts, oldest first.
    """

    integration: str
    record: TelemetryRecord
    state: DeliveryState
    attempts: int
    next_try_ms: int
    error: str
    tries: tuple[Attempt, ...] = ()


class ParkedState(Struct, frozen=True, gc=False):
    """What is said of a parked delivery, without its record."""

    state: DeliveryState
    attempts: int
    next_try_ms: int
    error: str
    tries: tuple[Attempt, ...] = ()


class Counters(Struct, frozen=True):
    """The accounts of an integration: ``queued = delivered + expired + dropped + dead + what is open``.

    ``counted`` is the position up to which ``queued`` has counted. The integration began after position ``since``.
    ``waiting_bytes`` is the size of what is open. ``lost`` holds ranges of positions that were never delivered: first,
    last, outcome. An empty outcome means that it is no longer known. ``paused`` means that a user paused the
    integration. Beyond the cursor, up to ``done``, everything is settled or parked except the positions in ``open``;
    ``done`` is 0 when nothing is known beyond the cursor.
    """

    queued: int = 0
    delivered: int = 0
    expired: int = 0
    dead: int = 0
    dropped: dict[str, int] = {}
    counted: int = 0
    since: int = 0
    waiting_bytes: int = 0
    lost: list[tuple[int, int, str]] = []
    paused: bool = False
    done: int = 0
    open: list[int] = []


class Progress(Struct, frozen=True):
    """How far an integration has come; written in one transaction.

    Every record up to ``cursor`` is settled or parked. ``parked`` holds rows that are new or changed. ``released`` holds
    positions that are no longer parked, except for those that are in ``parked`` again. With ``lent``, another node writes from then on how far
    it has come.
    """

    integration: str
    cursor: int
    counters: Counters
    parked: tuple[Parked, ...] = ()
    released: tuple[int, ...] = ()
    lent: bool = False


class Message(Struct, frozen=True):
    """An uplink with its outcome and deliveries."""

    seq: int
    uplink: Uplink
    state: State
    converter: str
    error: ConversionError | None
    records: tuple[TelemetryRecord, ...]


class FailedAttempt(Struct, frozen=True):
    """A failed attempt of a delivery."""

    at: Annotated[int, Meta(description="When it was: milliseconds since 1970.")]
    answer: Annotated[str, Meta(description="The beginning of what the target said.")]


class Delivery(Struct, frozen=True, rename="camel"):
    """One message for one integration, as the API shows it."""

    integration: Annotated[str, Meta(description="The integration's name.")]
    state: Annotated[str, Meta(description="How far it is, such as `waiting` or `delivered`.")]
    attempts: Annotated[int, Meta(description="How often it was tried.")]
    error: Annotated[str | None, Meta(description="Why the last attempt failed; else null.")]
    next_try_at: Annotated[
        int | None,
        Meta(description="When it is tried next: milliseconds since 1970; null where no attempt is due."),
    ] = None
    tries: Annotated[
        tuple[FailedAttempt, ...],
        Meta(
            description="The latest attempts that failed, the oldest first, while it waits for the next one or is given up."
        ),
    ] = ()


class Event(Struct, frozen=True, rename="camel", omit_defaults=True):
    """A record of what happened: lifecycle, failure, downlink, debug.

    ``source`` is the kind of the thing it happened to (``datasource``), ``name`` its name.
    """

    ts: int
    type: str
    source: str
    name: str
    message: str
    tenant: str = DEFAULT_TENANT
    severity: Literal["debug", "info", "warning", "error"] = "info"
    device: str = ""
    message_id: str = ""
    detail: dict[str, Any] = {}
