"""What users save, as frozen values: datasources, converters, integrations, downlinks.

Durations in settings are seconds, sizes are bytes. Names are camelCase in JSON.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from iotgw.core.networks import Networks
from iotgw.core.parts import Split
from iotgw.core.rate_limit import FORM
from iotgw.core.wildcards import NamePattern, check_patterns

LONGEST = 1e12
"""Seconds: more than anybody means, and few enough to be counted in milliseconds."""


class Deletion(Struct, frozen=True, rename="camel"):
    """The decision to delete a resource, and what becomes of its backlog: it is drained or dropped.

    ``until`` is the last position of the telemetry stream that an integration still gets, in the journal that had this ``epoch`` then. In any
    other one it gets nothing that comes after the decision is known there.
    """

    backlog: Literal["drain", "drop"]
    until: int = 0
    epoch: str = ""


class Resource(Struct, frozen=True):
    """A thing in the registry. ``body`` is the validated JSON that the user sent, secrets sealed.

    ``deletion`` is set while it is being deleted. It takes nothing new then, and is removed once its backlog is gone.
    """

    kind: str
    id: str
    tenant: str
    name: str
    revision: int
    created_ms: int
    updated_ms: int
    body: dict[str, Any]
    deletion: Deletion | None = None


class Spec(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Base of what users send to the API; unknown fields are refused."""


SpeaksFor = Literal["own", "unproved", "all"]
"""Which devices a datasource may speak for besides those that prove what they are: those that it introduced, and those that
nobody has introduced; all without credentials; all."""


TENANT = "tenant"
"""Kind of the resources that say what a tenant may use. Such a resource has the tenant's name, and belongs to it."""
BeyondLimit = Literal["refuse", "keep"]


class DatasourceSpec(Spec, frozen=True, kw_only=True):
    """Where data comes in.

    ``converters`` picks a converter by what a device is (`iotgw.core.device_kinds`); ``converter`` serves the rest. Without
    either, messages are only stored.
    ``downlink_window`` is how long a device listens after its uplink, in seconds; 0 means always.
    ``downlink_windows`` is the same for single devices, by name or identity.
    ``speaks_for`` says for which devices it may speak (`SpeaksFor`); ``auto`` leaves that to its type.
    """

    name: Annotated[str, Meta(description="What it is called; unique among the tenant's datasources.")]
    type: Annotated[str, Meta(description="How devices come in: the protocol, or the vendor.")]
    enabled: Annotated[
        bool, Meta(description="Whether it listens. What waits of it is converted all the same.")
    ] = True
    routing_key: Annotated[
        str,
        Meta(description="What devices name in their address, such as `/i/KEY`; made up where it is empty."),
    ] = ""
    converter: Annotated[
        str,
        Meta(
            description="The converter of all messages, by name or id, that `converters` names none for. Without any, messages are only stored."
        ),
    ] = ""
    converters: Annotated[
        dict[str, str],
        Meta(
            max_length=1000,
            description="Converters by what a device is: a type, an identity or a pattern, with the converter's name.",
        ),
    ] = {}
    downlink_converter: Annotated[
        str, Meta(description="The converter that makes bytes of what is sent to devices; by name or id.")
    ] = ""
    downlink_window: Annotated[float, Meta(le=LONGEST, description="Seconds; 0 is always.")] = 20.0
    downlink_windows: Annotated[
        dict[str, Annotated[float, Meta(le=LONGEST)]],
        Meta(description="The same for single devices, by name or identity: seconds."),
    ] = {}
    reply: Annotated[
        Literal["stored", "converted"],
        Meta(
            description="When a device is answered: as soon as its message is stored, or once it is converted."
        ),
    ] = "stored"
    speaks_for: Annotated[
        Literal["auto", "own", "unproved", "all"],
        Meta(
            description="For which devices it may speak, besides those that prove what they are: `own` are those that it "
            "introduced, `unproved` all without credentials, `all` any. `auto` is `all` for a broker's subscription and "
            "a platform's profile, else `own`."
        ),
    ] = "auto"
    allow: Annotated[
        list[str],
        Meta(
            max_length=1000,
            description="Addresses and networks, of IPv4 and IPv6, that peers may have; what others send is dropped before it "
            "is looked at. None is all.",
        ),
    ] = []
    unknown_devices: Annotated[
        Literal["create", "quarantine", "refuse"],
        Meta(
            description="What becomes of a device that nobody knows when it sends something: it is created, its messages wait in "
            "`quarantine` until somebody releases it, or they are refused (CoAP 4.03, HTTP 403)."
        ),
    ] = "create"
    limit: Annotated[
        str,
        Meta(
            pattern=FORM,
            description="Messages that it takes, as COUNT:SECONDS, several with commas between: `100:1,2000:60` is 100 in a second and 2,000 "
            "in a minute. Empty is no limit ([limits](../limits.md)).",
        ),
    ] = ""
    device_limit: Annotated[
        str,
        Meta(pattern=FORM, description="The same for each of its devices; empty is what the tenant says."),
    ] = ""
    beyond_limit: Annotated[
        BeyondLimit,
        Meta(
            description="What becomes of further messages: they are refused (CoAP 4.29, HTTP 429), or kept unconverted, to be converted when "
            "somebody says so."
        ),
    ] = "refuse"
    when_away: Annotated[
        Literal["auto", "refuse", "spill"],
        Meta(
            description="What becomes of messages while the database is away, where the data is in PostgreSQL: they are refused (CoAP 5.03, HTTP 503, "
            "streams aren't read), or spilled to a file of the node ([nodes](../nodes.md#while-the-database-is-away)). `auto` spills those of senders that don't "
            "repeat what is refused: UDP, and networks that post over HTTP."
        ),
    ] = "auto"
    metadata: Annotated[
        dict[str, Any], Meta(description="Facts that are added to each message's metadata.")
    ] = {}
    configuration: Annotated[dict[str, Any], Meta(description="The settings of its type.")] = {}
    description: Annotated[str, Meta(description="What people should know about it.")] = ""

    def __post_init__(self) -> None:
        """Refuse what is no network."""
        Networks(self.allow)


class ConverterSpec(Spec, frozen=True, kw_only=True):
    """A user's script. ``dialect`` and ``engine`` are detected when ``auto``.

    ``files`` are other files that it may ``require``, by path (``lib/bits.js``): JavaScript, TypeScript or JSON.
    """

    name: Annotated[str, Meta(description="What it is called; unique among the tenant's converters.")]
    type: Annotated[
        Literal["UPLINK", "DOWNLINK"],
        Meta(description="Whether it reads what devices send, or writes what is sent to them."),
    ] = "UPLINK"
    script: Annotated[
        str,
        Meta(
            description="The text of the script: `Decoder(payload, metadata)`, or another dialect's function."
        ),
    ]
    files: Annotated[
        dict[str, str], Meta(description="Other files that it may `require`, by path, such as `lib/bits.js`.")
    ] = {}
    dialect: Annotated[
        str, Meta(description="Whose form the script has, such as `thingsboard`; `auto` finds out.")
    ] = "auto"
    engine: Annotated[
        Literal["auto", "duktape", "quickjs"],
        Meta(description="What runs it; `auto` takes the one that suits the script."),
    ] = "auto"
    options: Annotated[
        dict[str, Any],
        Meta(
            description="What the script is given beside the message, and `timeLimit` (seconds of CPU per call)."
        ),
    ] = {}
    tests: Annotated[
        list[dict[str, Any]],
        Meta(description="Vectors that it must pass: an input, and the output that is expected of it."),
    ] = []
    description: Annotated[str, Meta(description="What people should know about it.")] = ""


class RouteSpec(Spec, frozen=True, kw_only=True):
    """Which messages an integration gets; an empty list means all. Patterns are shell-style."""

    datasources: Annotated[list[str], Meta(max_length=1000, description="By name or id.")] = []
    device_types: Annotated[
        list[NamePattern], Meta(max_length=1000, description="Patterns, such as `meter-*`.")
    ] = []
    device_names: Annotated[list[NamePattern], Meta(max_length=1000, description="Patterns.")] = []
    wants: Annotated[
        list[Literal["telemetry", "attributes", "events"]],
        Meta(max_length=3, description="Events are, for example, a downlink's progress."),
    ] = field(default_factory=lambda: ["telemetry", "attributes"])

    def __post_init__(self) -> None:
        """Refuse patterns that cost too much."""
        check_patterns("deviceTypes", self.device_types)
        check_patterns("deviceNames", self.device_names)


class RetrySpec(Spec, frozen=True, kw_only=True):
    """Full-jitter exponential backoff: a wait is uniform in 0…min(cap, initial · multiplier^n) seconds."""

    initial: Annotated[float, Meta(gt=0, le=LONGEST, description="Seconds.")] = 1.0
    multiplier: Annotated[
        float,
        Meta(
            ge=1,
            le=10_000,
            description="By what each wait is longer than the one before.",
            extra_json_schema={"x-unit": "×"},
        ),
    ] = 2.0
    cap: Annotated[
        float,
        Meta(gt=0, le=LONGEST, description="Seconds; longest wait, unless `Retry-After` asks for more."),
    ] = 300.0
    max_attempts: Annotated[
        int,
        Meta(ge=1, description="Attempts at a message that fails for its own reason; outages don't count."),
    ] = 10


class QueueSpec(Spec, frozen=True, kw_only=True):
    """Limits of the backlog: age in seconds, size in bytes, and what happens beyond them.

    ``rate`` is messages per second at most, so that a backlog doesn't flood a target; 0 means no limit.
    """

    max_age: Annotated[float, Meta(gt=0, le=LONGEST, description="Seconds; older messages expire.")] = (
        7 * 86400.0
    )
    max_bytes: Annotated[
        int,
        Meta(
            gt=0, description="Bytes of what waits; at most `store.max-bytes`, which all integrations share."
        ),
    ] = 2 << 30
    overflow: Annotated[
        Literal["dropOldest", "rejectNew"],
        Meta(
            description="Drop the oldest messages, or have the datasources refuse new ones (CoAP 5.03, HTTP 503)."
        ),
    ] = "dropOldest"
    rate: Annotated[
        float,
        Meta(
            ge=0,
            description="Messages per second at most; 0 is no limit.",
            extra_json_schema={"x-unit": "1/s"},
        ),
    ] = 0.0


class DeadLetterSpec(Spec, frozen=True, kw_only=True):
    """How many dead letters are kept. Beyond that, the oldest are dropped."""

    max_age: Annotated[
        float, Meta(gt=0, le=LONGEST, description="Seconds since the message was received.")
    ] = 30 * 86400.0
    max_count: Annotated[
        int, Meta(ge=0, description="Dead letters that are kept at most; beyond, the oldest are dropped.")
    ] = 10_000
    max_bytes: Annotated[
        int,
        Meta(ge=0, description="At most a quarter of `store.max-bytes`, which all integrations share."),
    ] = 64 << 20


class IntegrationSpec(Spec, frozen=True, kw_only=True):
    """Where data goes out."""

    name: Annotated[str, Meta(description="What it is called; unique among the tenant's integrations.")]
    type: Annotated[str, Meta(description="What kind of system it delivers to.")]
    enabled: Annotated[
        bool, Meta(description="Whether it delivers. While it doesn't, messages wait for it.")
    ] = True
    configuration: Annotated[dict[str, Any], Meta(description="The settings of its type.")] = {}
    route: Annotated[RouteSpec, Meta(description="Which messages it gets.")] = field(
        default_factory=RouteSpec
    )
    order: Annotated[
        Literal["device", "none"],
        Meta(
            description="Whether a device's messages are delivered one after another, or as fast as may be."
        ),
    ] = "device"
    single: Annotated[
        bool,
        Meta(
            description="Whether, of several nodes, one delivers the messages of all, such as over the only connection that a target allows."
        ),
    ] = False
    retry: Annotated[
        RetrySpec, Meta(description="When a message that failed is tried again, and how often.")
    ] = field(default_factory=RetrySpec)
    queue: Annotated[QueueSpec, Meta(description="How much may wait, and what becomes of more.")] = field(
        default_factory=QueueSpec
    )
    dead_letters: Annotated[
        DeadLetterSpec, Meta(description="How long messages are kept that were given up.")
    ] = field(default_factory=DeadLetterSpec)
    format: Annotated[Literal[
        "standard", "thingsboard", "values", "template",
        "line-protocol", "senml", "ngsi-ld", "cloudevents", "openmetrics", "parquet",
    ], Meta(description="In which form messages are delivered.")] = "standard"  # fmt: skip
    template: Annotated[
        str | UnsetType,
        Meta(description="The template (Jinja) of a message, where the format is `template`."),
    ] = UNSET
    split: Annotated[
        Split,
        Meta(
            description="What the target gets by itself: all that a message says of a `device`, each `reading` (the values of one time), each `value` of each time, or each `entity` (a key with its readings)."
        ),
    ] = "device"
    description: Annotated[str, Meta(description="What people should know about it.")] = ""


DownlinkMode = Literal["auto", "sync", "async"]
"""sync: with the device's next uplink; async: only while the device can be reached; auto: whichever comes
first."""


class DownlinkSpec(Spec, frozen=True, kw_only=True):
    """What a user sends to queue an item: a ``msg`` for the downlink converter, or ``data`` as it is."""

    msg_type: Annotated[str, Meta(description="What kind of message it is for the downlink converter.")] = (
        "downlink"
    )
    msg: Annotated[
        Any, Meta(description="What the downlink converter makes bytes of; instead of `data`.")
    ] = None
    data: Annotated[
        str | UnsetType, Meta(description="Bytes in base64 (BINARY), or the text itself (TEXT, JSON).")
    ] = UNSET
    content_type: Annotated[Literal["JSON", "TEXT", "BINARY"], Meta(description="What `data` is.")] = "BINARY"
    metadata: Annotated[dict[str, Any], Meta(description="What the downlink converter gets beside it.")] = {}
    mode: Annotated[
        DownlinkMode,
        Meta(description="When it leaves: with the device's next uplink, at once, or as its datasource can."),
    ] = "auto"
    ttl: Annotated[
        float, Meta(gt=0, le=LONGEST, description="Seconds after which an unsent item expires.")
    ] = 7 * 86400.0
    max_attempts: Annotated[
        int, Meta(ge=1, le=100, description="How often it is sent at most until it is confirmed.")
    ] = 5
    priority: Annotated[int, Meta(ge=-100, le=100, description="Higher leaves first.")] = 0
    confirmed: Annotated[
        bool, Meta(description="Sent again with later uplinks until the transport or the device confirms it.")
    ] = False
    policy: Annotated[
        Literal["fifo", "last"], Meta(description="`last` replaces whatever is queued for the device.")
    ] = "fifo"
