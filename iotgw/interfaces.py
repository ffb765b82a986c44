"""The interfaces between the rooms. A room imports this module and `iotgw.model`, never another room.

Everything here is called in the reactor's thread. Methods on the hot path take plain callbacks and
whole batches; only calls that a person or a rare event makes return Deferreds.
"""

from __future__ import annotations

from zope.interface import Attribute, Interface

# mypy: disable-error-code="no-untyped-def"


class IIntake(Interface):
    """What a datasource sees of the gateway; one per datasource, made by the gateway."""

    room = Attribute("bool: False when the gateway is full; a stream should stop reading")
    guard = Attribute(
        "None, or what a datasource sets: ``guard(metadata, outputs)`` is asked of each conversion, with the "
        "metadata's JSON text and the `model.Output` items; a text that is not empty makes it fail"
    )

    def receive(payload, metadata, answer, received_ms=0, listens=True):
        """Take an uplink: ``bytes``, a dict of JSON values, and what to call with the `model.Answer`.

        ``answer`` is called once, later in the reactor's thread, when the uplink is durable (or converted,
        where the datasource says so), or at once with BUSY. It must not raise. ``received_ms``: 0 means now.
        ``listens``: False when the answer can carry no downlink, so that none is taken from the queue.
        """

    def receive_and_hold(payload, metadata, answer, ttd):
        """As `receive`, of a device that listens for ``ttd`` seconds: an answer that would carry no downlink is
        held back so long for one that is queued meanwhile. Returns what to call when the device went away;
        ``answer`` may not be called any more then."""

    def reject(payload, metadata, reason):
        """Keep bytes that can't be an uplink as a failed message, with a reason in one line."""

    def when_room(callback):
        """Call ``callback()`` once when there is room again (at once if there is)."""

    def event(type, message, severity="info", **detail):
        """Record what happened to this datasource."""

    def downlink_sent(downlink):
        """Bytes of this `model.Downlink` left; whether they arrived is not known yet."""

    def downlink_delivered(downlink, is_certain=True):
        """The transport confirmed this downlink. Not ``is_certain``: it did all that it can, but an answer may
        still be lost; an item that must be confirmed waits for the device's own receipt then."""

    def downlink_lost(downlink, reason):
        """This downlink did not reach the device; it goes back into the queue."""

    def downlink_returned(downlink):
        """This downlink could not go with this answer, and goes with another; that is no attempt."""

    def downlink_offered(downlink):
        """This downlink was handed to a network that says later, in `downlink_confirmed`, what became of it."""

    def downlink_confirmed(device, delivered, reason=""):
        """What became of the latest downlink that was offered for a device (by name or identity)."""

    def downlinks(device, limit=1):
        """Take up to ``limit`` queued downlinks for a device that can be reached now (late additions to an
        open session). Returns a Deferred of a tuple of `model.Downlink`."""

    def reachable(device, send):
        """Say that ``device`` can be reached until the function that this returns is called.

        ``send(downlinks)`` is called with `model.Downlink` items that should leave at once.
        """


class IDatasource(Interface):
    """A running datasource."""

    def start():
        """Open the listener or the subscription; Deferred that fires when it is open, or fails."""

    def stop():
        """Close it; Deferred that fires when nothing more will come in."""

    def status():
        """A dict for the API: ``{"state": "listening", "address": "udp 0.0.0.0:5683", …}``."""


class IPushes(IDatasource):
    """A datasource that can send to a device without being asked."""

    can_push = Attribute("bool: False where its settings say that devices take nothing but answers")

    def push(metadata, downlinks):
        """Send a tuple of `model.Downlink` to the device whose last uplink had this metadata (a dict), and
        report each to the intake."""


class IDatasourceType(Interface):
    """A kind of datasource. One instance per gateway, made as ``factory(reactor)``: what its datasources
    share (a UDP port) lives on it. Third parties name the factory in the entry point group
    ``iotgw.datasources``."""

    name = Attribute("str: the ``type`` of a datasource")
    settings = Attribute("the msgspec Struct of ``configuration``; its definitions make schema and docs")

    def build(settings, context):
        """Make an `IDatasource` from its settings and a `DatasourceContext`. Raises SettingsError."""


class IForgets(IDatasourceType):
    """A type whose datasources leave something with others, such as a session at a broker."""

    def forget(settings, context, successor):
        """A datasource with these settings is closed and won't come back: it was deleted (``successor`` is
        None), or has the settings ``successor`` now. Let go of what others keep for it, in bounded time;
        Deferred, or None when there is nothing to do."""


class IIntegration(Interface):
    """A running target."""

    capacity = Attribute("int: how many records may be in flight at once")
    max_batch = Attribute("int: the most records that one `send` may carry")
    whole = Attribute("bool: one `send` is one request, so it may carry several records of one device")

    def start():
        """Get ready; returns a Deferred. A connection that can't be made is not a failure: it is retried."""

    def stop():
        """Let go of connections; Deferred. What is in flight is settled, or nobody asks for it again."""

    def send(records, settle):
        """Send a list of `model.TelemetryRecord`; call ``settle(seqs, verdict)`` for each of them exactly
        once, in groups as they come, with an `iotgw.integrations.verdict` value. Does not raise."""

    def check():
        """Connect and authenticate, deliver nothing; Deferred of a dict ``{"ok", "detail"}``."""

    def status():
        """A dict for the API: ``{"state": "connected" | "connecting" | …, "lastError": …}``."""


class IIntegrationType(Interface):
    """A kind of integration; as `IDatasourceType`, entry point group ``iotgw.integrations``."""

    name = Attribute("str: the ``type`` of an integration")
    settings = Attribute("the msgspec Struct of ``configuration``")

    def build(settings, context):
        """Make an `IIntegration` from its settings and an `IntegrationContext`. Raises SettingsError."""


class IConverters(Interface):
    """The converter service."""

    def convert(jobs, done):
        """Run a list of `model.Job` in order; call ``done(list of model.Conversion)``, as long, later."""

    def remembers(version):
        """Whether a message changes what this `model.ConverterVersion` makes of later ones."""

    def compile(spec):
        """Check a `model.ConverterSpec`: Deferred of ``(dialect, engine)``; fails with SettingsError."""

    def test(version, payload, metadata, received_ms):
        """Run one conversion for a person; Deferred of a dict as `POST /converters/test` answers it."""

    def encode(version, msg, metadata, msg_type, integration_metadata):
        """Run a downlink converter; Deferred of `model.Downlink`-like dict ``{contentType, data, metadata}``,
        ``data`` being base64 for BINARY. Fails with ConversionFailed."""


class IConverterEngine(Interface):
    """A JavaScript engine inside the worker program; one instance per converter version."""

    def call(entry, args):
        """Call the runtime's function ``entry`` with a text; returns a text. What a script throws is in the
        text; raises only `iotgw.converters.engines.Stopped`, when the engine had to stop the script."""


class IJournalListener(Interface):
    """Who hears what becomes durable; the gateway."""

    def storing(entries):
        """These uplinks are on their way to the disk: a list of ``(model.StoredUplink, token)``, in order. Each is
        `stored` or `refused` before the next ones are on their way. Where the disk is in doubt, they are so
        without having been here."""

    def stored(entries):
        """These uplinks are durable: a list of ``(model.StoredUplink, token)``, in order."""

    def refused(entries, reason):
        """These could not be stored: a list of ``(model.StoredUplink, token)``."""

    def settled(outcomes, records):
        """These outcomes (list of `model.Outcome`) and the `model.TelemetryRecord`s (list) that came of them are durable."""

    def room_again():
        """The journal was full and has room now."""


class IJournal(Interface):
    """The streams ``uplink`` and ``telemetry``, with their cursors; one writer, group commit."""

    epoch = Attribute("str: names this journal for good; part of every message id")
    room = Attribute("bool: False while the queue to the writer or the disk is full")
    head = Attribute("int: position of the last durable telemetry record")
    last_uplink = Attribute("int: the highest position that was given to an uplink")

    def start(listener):
        """Open; Deferred that fires when records can be read and written."""

    def stop():
        """Write what is queued, close; Deferred."""

    def append(uplink, token):
        """Queue a `model.Uplink` for the next commit; returns its position. The listener hears of it with
        ``token``, an opaque object."""

    def settle(datasource, cursor, outcomes, haste=True, kept=0):
        """Queue outcomes (list of `model.Outcome`) of a datasource; their outputs go to the telemetry
        stream, and the datasource's conversion cursor moves to ``cursor``, in one transaction. A second
        outcome for a position (reprocessing) replaces the first. ``kept`` counts the uplinks up to the cursor
        that are only kept: they end as FILTERED without an outcome each. Without ``haste`` nobody waits for
        it: it is written with the next commit, at the latest a second later."""

    def emit(record):
        """Queue an event as a `model.TelemetryRecord` (its ``seq`` is ignored) for integrations."""

    def progress(progress):
        """Queue a `model.Progress`; it is written with the next commit, at the latest a second later."""

    def committed():
        """Deferred that fires when all progress that was queued until now is durable; at once if it is."""

    def at_rest(callback):
        """Call back when no commit is under way: at once, or after the report of the one that is. What makes
        many small system calls does so then, since each of them lets go of the GIL, and a busy thread takes it
        for itself."""

    def hold(integration, max_age):
        """Keep what an integration still waits for until it is ``max_age`` seconds old, however full the
        journal is; without this, until it is as old as the journal keeps anything."""

    def conversion_cursors():
        """dict of datasource id → position, as of `start`."""

    def read_uplinks(datasource, after, limit):
        """Deferred of a list of `model.StoredUplink` of a datasource with seq > after, in order: ``limit`` of
        them, or all, or so many that their payloads weigh `iotgw.tail.WEIGHT` bytes."""

    def read_telemetry(after, limit):
        """Deferred of a list of `model.TelemetryRecord` with seq > after, in order: ``limit`` of them, or all,
        or so many that their bodies weigh `iotgw.tail.WEIGHT` bytes."""

    def integrations():
        """dict of integration id → (cursor, model.Counters), as of `start`."""

    def forget(integration):
        """Drop an integration's cursor and parked records."""

    def read_parked(integration, state, after, limit):
        """Deferred of a list of `model.Parked` of an integration, by position; ``state`` None for all. ``limit`` of
        them, or all, or so many that their bodies weigh `iotgw.tail.WEIGHT` bytes."""

    def due_parked(integration, now_ms, limit):
        """Deferred of a list of `model.Parked` in state RETRYING whose ``next_try_ms`` is not 0 and due."""

    def parked_behind(integration, device, after, limit):
        """Deferred of a list of `model.Parked` of one device after a position."""

    def message(seq):
        """Deferred of a `model.Message`, or None."""

    def messages(tenant, before, limit, datasource=None, state=None, device=None):
        """Deferred of a list of `model.Message`, newest first, with seq < before (0: from the newest)."""

    def time_to_seq(ts_ms):
        """Deferred of the position of the first telemetry record received at or after a time."""

    def stats():
        """Deferred of a dict: counts by state, bytes, oldest, positions."""


class IRegistry(Interface):
    """The things that users save. Reading is from memory, at once; writing returns Deferreds."""

    def list(kind, tenant=None):
        """List of `model.Resource`, by name."""

    def get(kind, id_or_name, tenant=None):
        """A `model.Resource`; raises NotFound."""

    def create(kind, tenant, name, body):
        """Deferred of the new `model.Resource`; fails with Conflict when the name is taken."""

    def replace(kind, id, body, name=None, revision=None):
        """Deferred of the `model.Resource`; fails with NotFound, or Conflict when ``revision`` moved on."""

    def delete(kind, id, revision=None):
        """Deferred; fails with NotFound or Conflict."""

    def watch(kind, callback):
        """Call ``callback(old, new)`` after each change; ``old`` is None for a new one, ``new`` for a
        deleted one."""

    def seal(secret):
        """Encrypt a secret text for a resource's body."""

    def unseal(sealed):
        """The secret text of `seal`."""


class IDevices(Interface):
    """Known devices and their last state; written behind, many at once."""

    def saw(records):
        """Note a list of `model.TelemetryRecord`: device, type, attributes, latest telemetry, last seen."""

    def get(tenant, name):
        """Deferred of a device dict, or None."""

    def list(tenant, after, limit, text=""):
        """Deferred of a list of device dicts by name, names > after."""


class IDownlinks(Interface):
    """The downlink queue."""

    def waited_for(tenant):
        """The names and identities of a tenant's devices that have items which could leave: a collection, as of
        now; to be looked at, not to be kept."""

    def acknowledged(tenant, device, identity, ack):
        """A device's receipt: a dict ``{id | msgType, success, response}`` of a converter's output. ``identity``
        is what its datasource knows it by; an item may be queued for either."""

    def reachable(tenant, device, datasource, send):
        """See `IIntake.reachable`."""

    def listen(tenant, device, callback):
        """Call ``callback()`` whenever an item was queued for a device (by name or identity), until the function
        that this returns is called."""

    def take(tenant, device, datasource, uplink_metadata, limit, done):
        """Call ``done(tuple of model.Downlink)`` with items that leave now; each is marked offered."""

    def outcome(downlink_id, state, reason=""):
        """A datasource's report: ``sent``, ``offered``, ``delivered``, ``answered`` (as good
        as delivered, unless the item must be confirmed), ``lost``; or a converter's ``downlinkAck``;
        or ``returned``, when an item that was taken did not leave, which is no attempt."""

    def confirmed(tenant, device, state, reason=""):
        """``delivered`` or ``lost``, of the latest item of a device (by name or identity) that is SENT."""


class IEvents(Interface):
    """The record of what happened."""

    def emit(event):
        """Note a `model.Event`; never raises, may drop (and counts drops)."""

    def query(tenant, before, limit, source=None, name=None, type=None):
        """Deferred of a list of ``(id, model.Event)``, newest first."""


class IDelivery(Interface):
    """The delivery service: one cursor per integration."""

    def feed(records):
        """These `model.TelemetryRecord`s are durable."""

    def deliveries(message):
        """Deferred of a list of `model.Delivery` for a `model.Message`."""

    def room():
        """bool: False while an integration whose overflow is ``rejectNew`` is full."""
