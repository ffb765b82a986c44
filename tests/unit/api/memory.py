"""Small in-memory implementations of the interfaces that the API is given."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
from msgspec import Struct
from twisted.internet.defer import Deferred, fail, succeed

from iotgw.core.errors import Conflict, NotFound, SettingsError
from iotgw.core.model import (
    Answer,
    Conversion,
    ConversionError,
    ConverterVersion,
    Delivery,
    Event,
    Message,
    Output,
    Parked,
    State,
    Status,
    TelemetryRecord,
    Uplink,
)
from iotgw.core.secrets import Secret
from iotgw.core.specs import Resource


class MemoryRegistry:
    """`iotgw.core.ports.registry.IRegistry` in a dict."""

    def __init__(self) -> None:
        self._all: dict[tuple[str, str], Resource] = {}
        self._watchers: dict[str, list[Any]] = {}
        self._ids = itertools.count(1)
        self.now_ms = 1000

    def list(self, kind: str, tenant: str | None = None) -> list[Resource]:
        found = [each for (of, _), each in self._all.items() if of == kind and tenant in (None, each.tenant)]
        return sorted(found, key=lambda each: each.name)

    def get(self, kind: str, id_or_name: str, tenant: str | None = None) -> Resource:
        for each in self.list(kind, tenant):
            if id_or_name in (each.id, each.name):
                return each
        raise NotFound(f"there is no {kind} {id_or_name!r}")

    def create(self, kind: str, tenant: str, name: str, body: dict[str, Any]) -> Deferred[Resource]:
        if any(each.name == name for each in self.list(kind, tenant)):
            return fail(Conflict(f"the name {name!r} is taken by another {kind}"))
        new = Resource(kind, f"id{next(self._ids)}", tenant, name, 1, self.now_ms, self.now_ms, body)
        self._all[kind, new.id] = new
        self._tell(None, new)
        return succeed(new)

    def replace(
        self, kind: str, id: str, body: dict[str, Any], name: str | None = None, revision: int | None = None
    ) -> Deferred[Resource]:
        old = self._all.get((kind, id))
        if old is None:
            return fail(NotFound(f"there is no {kind} {id!r}"))
        if revision not in (None, old.revision):
            return fail(Conflict(f"the revision is {old.revision} now"))
        new = msgspec.structs.replace(old, body=body, name=name or old.name, revision=old.revision + 1)
        self._all[kind, id] = new
        self._tell(old, new)
        return succeed(new)

    def retire(self, kind: str, id: str, deletion: Any, revision: int | None = None) -> Deferred[Resource]:
        """Nothing here has a backlog, so it is gone at once."""
        old = self._all[kind, id]
        return self.delete(kind, id, revision).addCallback(
            lambda _: msgspec.structs.replace(old, deletion=deletion)
        )

    def delete(self, kind: str, id: str, revision: int | None = None) -> Deferred[None]:
        old = self._all.pop((kind, id), None)
        if old is None:
            return fail(NotFound(f"there is no {kind} {id!r}"))
        self._tell(old, None)
        return succeed(None)

    def watch(self, kind: str, callback: Any) -> None:
        self._watchers.setdefault(kind, []).append(callback)

    def _tell(self, old: Resource | None, new: Resource | None) -> None:
        kind = (old or new).kind  # type: ignore[union-attr]
        for callback in self._watchers.get(kind, []):
            callback(old, new)

    def seal(self, secret: str) -> str:
        return "sealed:" + secret[::-1]

    def unseal(self, sealed: str) -> str:
        return sealed.removeprefix("sealed:")[::-1]


class MemoryJournal:
    """`iotgw.core.ports.journal.IJournal`'s reading side over a list."""

    epoch = "e1"
    room = True
    head = 0

    def __init__(self) -> None:
        self.stored: list[Message] = []

    def add(
        self, datasource: str, payload: bytes, state: State = State.CONVERTED, device: str = "dev-1",
        converter: str = "id1/1", tenant: str = "default",
    ) -> Message:  # fmt: skip
        seq = len(self.stored) + 1
        uplink = Uplink(tenant, datasource, 1000 * seq, payload, b'{"protocol":"http"}')
        body = msgspec.json.encode(
            {
                "deviceName": device, "deviceType": "default", "attributes": {},
                "telemetry": [{"ts": 1000 * seq, "values": {"n": seq}}],
            }
        )  # fmt: skip
        records = ()
        error = None
        if state is State.CONVERTED:
            records = (TelemetryRecord(seq, seq, tenant, datasource, 1000 * seq, device, "default", body),)
        if state is State.FAILED:
            error = ConversionError("boom", line=3, column=7)
        message = Message(seq, uplink, state, converter, error, records)
        self.stored.append(message)
        return message

    def message(self, seq: int) -> Deferred[Message | None]:
        return succeed(next((each for each in self.stored if each.seq == seq), None))

    def messages(
        self, tenant: str, before: int, limit: int, datasource: str | None = None,
        state: State | None = None, device: str | None = None,
    ) -> Deferred[list[Message]]:  # fmt: skip
        found = [
            each
            for each in reversed(self.stored)
            if each.uplink.tenant == tenant
            and (not before or each.seq < before)
            and datasource in (None, each.uplink.datasource)
            and state in (None, each.state)
            and (device is None or any(record.device_name == device for record in each.records))
        ]
        return succeed(found[:limit])

    def stats(self) -> Deferred[dict[str, Any]]:
        return succeed({"messages": len(self.stored), "datasources": {"id2": {"received": 3, "failed": 2}}})


class MemoryGateway:
    """The gateway's API side: port 1 can't be opened."""

    def __init__(self, registry: MemoryRegistry, journal: MemoryJournal) -> None:
        self._registry = registry
        self._journal = journal
        self.applied_ids: list[str] = []
        self.running: dict[str, Any] = {}

    def applied(self, id: str) -> Deferred[None]:
        self.applied_ids.append(id)
        return succeed(None)

    def status(self, id: str) -> dict[str, Any]:
        resource = self._registry.get("datasource", id)
        if not resource.body.get("enabled", True):
            return {"state": "stopped"}
        if resource.body["configuration"].get("port") == 1:
            return {"state": "failed", "error": "port 1: permission denied"}
        return {"state": "listening", "address": "udp 127.0.0.1:5683"}

    def datasource_name(self, id: str) -> str:
        try:
            return self._registry.get("datasource", id).name
        except NotFound:
            return id

    def datasource(self, id: str) -> Any:
        return self.running.get(id)

    def reprocess(self, message: Message) -> Deferred[State]:
        if message.uplink.datasource == "gone":
            return fail(NotFound("the message's datasource is gone"))
        index = self._journal.stored.index(message)
        self._journal.stored[index] = msgspec.structs.replace(message, state=State.CONVERTED, error=None)
        return succeed(State.CONVERTED)

    def inject(self, id: str, payload: bytes, metadata: dict[str, Any]) -> Deferred[Answer]:
        if payload == b"full":
            return succeed(Answer(Status.BUSY, retry_after=5.0))
        return succeed(Answer(Status.STORED, f"e1-{len(payload)}"))


class Connected:
    """A running datasource with one session."""

    def sessions(self) -> list[dict[str, Any]]:
        return [{"id": "s1", "identity": "urn:imei:1", "cipher": "PSK-AES128-CCM8", "age": 5.0, "bytes": 100}]

    def end(self, id: str) -> bool:
        return id == "s1"


class MemoryConverters:
    """A converter service whose "scripts" are ``copy``, ``fail``, or no JavaScript at all."""

    def compile(self, spec: Any) -> Deferred[tuple[str, str]]:
        if "function" not in spec.script:
            return fail(SettingsError("script", "expected JavaScript, got something else at line 1"))
        return succeed(("thingsboard" if spec.dialect == "auto" else spec.dialect, "duktape"))

    def __init__(self) -> None:
        self.ran: set[str] = set()

    def convert(self, jobs: list[Any], done: Any) -> None:
        self.ran |= {job.converter.id for job in jobs}
        done([self._one(job.converter.script, job.payload, job.seq) for job in jobs])

    def remembers(self, version: Any) -> bool:
        return False

    def _one(self, script: str, payload: bytes, seq: int) -> Conversion:
        if "fail" in script or ("odd" in script and seq % 2):
            return Conversion(error=ConversionError("boom", line=1, column=2))
        body = msgspec.json.encode({"deviceName": "d", "telemetry": payload.decode(), "by": script[:20]})
        return Conversion((Output("d", "default", body if "mark" in script else payload),))

    def test(self, version: Any, payload: bytes, metadata: dict[str, Any], received_ms: int) -> Deferred[Any]:
        if "fail" in version.script:
            error = {"name": "Error", "message": "boom", "line": 1, "column": 2, "stack": ""}
            return succeed({"result": None, "telemetry": [], "logs": [], "error": error})
        value = {"deviceName": payload.decode(), "metadata": metadata, "ts": received_ms}
        return succeed({"result": value, "telemetry": [value], "logs": ["hello"], "error": None})

    def encode(self, version: Any, msg: Any, metadata: Any, msg_type: str, more: Any) -> Deferred[Any]:
        return succeed({"contentType": "TEXT", "data": str(msg), "metadata": {}})


class MemoryDelivery:
    """The delivery service's API side."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def validate(self, spec: Any) -> None:
        if "no scheme" in spec.configuration["url"]:
            raise SettingsError("configuration.url", "expected http or https")

    def deliveries(self, message: Message) -> Deferred[list[Delivery]]:
        return succeed([Delivery("out", "delivered", 1, None)] if message.records else [])

    def stats(self, id: str) -> dict[str, Any]:
        return {"state": "running", "queued": 3, "delivered": 2, "waiting": 1}

    def check(self, id: str) -> Deferred[dict[str, Any]]:
        return succeed({"ok": True, "detail": "connected"})

    def dead_letters(self, id: str, after: int, limit: int) -> Deferred[list[Parked]]:
        record = TelemetryRecord(7, 3, "default", "id1", 5, "dev-1", "default", b'{"deviceName":"dev-1"}')
        return succeed([Parked(id, record, 4, 10, 0, "400 Bad Request")])  # type: ignore[arg-type]

    def __getattr__(self, name: str) -> Any:
        if name not in ("test", "pause", "resume", "drain", "purge", "seek", "retry"):
            raise AttributeError(name)

        def call(*arguments: Any) -> Any:
            self.calls.append((name, *arguments))
            return None if name == "drain" else succeed({"ok": True})

        return call


class Queued(Struct):
    """A downlink that waits."""

    id: str
    device: str
    spec: Any
    state: str = "QUEUED"

    def view(self) -> dict[str, Any]:
        shown = {"createdAt": 1000, "expiresAt": 5000, "attempts": 0, "reason": ""}
        return {"id": self.id, "state": self.state, **shown, **msgspec.to_builtins(self.spec)}


class MemoryDownlinks:
    """A downlink queue in a list, for all devices."""

    def __init__(self) -> None:
        self.items: list[Queued] = []

    def depth(self) -> int:
        return len(self.items)

    def list(self, tenant: str, device: str, limit: int) -> Deferred[list[Any]]:
        return succeed(self.items[:limit])

    def push(self, tenant: str, device: str, spec: Any) -> Deferred[Any]:
        self.items.append(Queued(f"d{len(self.items) + 1}", device, spec))
        return succeed(self.items[-1])

    def replace(self, tenant: str, device: str, specs: list[Any]) -> Deferred[list[Any]]:
        self.items = [Queued(f"d{number}", device, spec) for number, spec in enumerate(specs, 1)]
        return succeed(self.items)

    def clear(self, tenant: str, device: str) -> Deferred[int]:
        count, self.items = len(self.items), []
        return succeed(count)

    def get(self, tenant: str, id: str) -> Deferred[Any]:
        found = [item for item in self.items if item.id == id]
        return succeed(found[0]) if found else fail(NotFound(f"there is no downlink {id!r}"))

    def cancel(self, tenant: str, id: str) -> Deferred[Any]:
        def cancelled(item: Queued) -> Queued:
            item.state = "DELETED"
            return item

        return self.get(tenant, id).addCallback(cancelled)


class MemoryDevices:
    """Two devices."""

    names = ("dev-1", "dev-2")

    def get(self, tenant: str, name: str) -> Deferred[dict[str, Any] | None]:
        return succeed({"name": name, "type": "default"} if name in self.names else None)

    def list(self, tenant: str, after: str, limit: int, text: str = "") -> Deferred[list[dict[str, Any]]]:
        found = [{"name": name} for name in self.names if name > after and text in name]
        return succeed(found[:limit])


class MemoryEvents:
    """Events in a list."""

    def __init__(self) -> None:
        self.emitted: list[Event] = []

    def emit(self, event: Event) -> None:
        self.emitted.append(event)

    def query(
        self, tenant: str, before: int, limit: int, source: str | None = None, name: str | None = None,
        type: str | None = None,
    ) -> Deferred[list[tuple[int, Event]]]:  # fmt: skip
        found = [
            (id, event)
            for id, event in reversed(list(enumerate(self.emitted, 1)))
            if (not before or id < before)
            and source in (None, event.source)
            and name in (None, event.name)
            and type in (None, event.type)
        ]
        return succeed(found[:limit])


class CoapSettings(Struct, rename="camel", forbid_unknown_fields=True):
    port: int = 5683
    pre_shared_key: Secret = ""


class HttpSettings(Struct, rename="camel", forbid_unknown_fields=True):
    url: str
    headers: dict[str, Secret] = {}


class MemoryType:
    """A type with settings only."""

    def __init__(self, name: str, settings: type[Struct]) -> None:
        self.name = name
        self.settings = settings

    def build(self, settings: Any, context: Any) -> Any:
        raise NotImplementedError


LIBRARY = {
    name: ConverterVersion(
        f"bundled:{name}", 1, name, "UPLINK", f"function {function}() {{}}", "thingsboard", "duktape"
    )
    for name, function in {"json": "json", "tekelek/logger": "logger"}.items()
}
