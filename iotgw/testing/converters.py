"""An `IConverters` that a test controls, and `IConverterVersions` in memory."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from iotgw.core.errors import Conflict, ConversionFailed, NotFound, SettingsError, TooMany, Undecided
from iotgw.core.model import (
    DEFAULT_TENANT,
    Aside,
    Conversion,
    ConversionError,
    ConverterVersion,
    DeviceReply,
    Job,
    Metadata,
    Output,
    Uplink,
)
from iotgw.core.ports.converters import IConverters, IConverterVersions
from iotgw.core.specs import ConverterSpec, Resource
from iotgw.core.times import DateMs


def reads_json(job: Job) -> Conversion:
    """A converter of payloads that are outputs already: JSON objects with a ``deviceName``. An empty object is filtered;
    ``acks`` are receipts; ``reply`` is a text to answer with, ``session`` facts of the connection. What is no JSON fails."""
    try:
        data = msgspec.json.decode(job.payload)
    except msgspec.DecodeError as error:
        return Conversion(error=ConversionError(str(error), line=1, column=2))
    acks = tuple(map(msgspec.json.encode, data.get("acks", ())))
    aside = None
    if "reply" in data or "session" in data:
        reply = DeviceReply(str(data["reply"]).encode(), "TEXT") if "reply" in data else None
        aside = Aside(reply, data.get("session", {}))
    outputs = (Output(data["deviceName"], "", job.payload),) if "deviceName" in data else ()
    return Conversion(outputs, acks=acks, aside=aside)


@implementer(IConverters)
class FakeConverters:
    """Converts by ``makes(job)`` whatever the script is, at once; while ``held`` is a list, when a test calls `release`.

    ``seen`` are the jobs it was given. A script without the word ``function`` is refused. A version whose options have
    ``state`` remembers; one says ``reply`` and ``session`` if its script has the word. One with the word ``undecided`` is refused as such without samples.
    """

    def __init__(self, makes: Callable[[Job], Conversion] = reads_json) -> None:
        self.makes = makes
        self.seen: list[Job] = []
        self.held: list[tuple[list[Job], Callable[[list[Conversion]], None]]] | None = None
        self.problem: ConversionError | None = None
        """Why `encode` fails."""
        self.busy: set[str] = set()
        """Tenants that have their share under way."""
        self.tried: list[ConverterVersion] = []
        """What `test` was given."""
        self.confinement: dict[str, Any] = {}
        """What its status says differently of its confinement."""

    def release(self, index: int = 0) -> None:
        """Finish a batch that is held."""
        assert self.held is not None
        jobs, done = self.held.pop(index)
        done([self.makes(job) for job in jobs])

    def convert(self, jobs: list[Job], done: Callable[[list[Conversion]], None]) -> None:
        """See `IConverters.convert`."""
        self.seen += jobs
        if self.held is None:
            done([self.makes(job) for job in jobs])
        else:
            self.held.append((jobs, done))

    def remembers(self, version: ConverterVersion) -> bool:
        """See `IConverters.remembers`."""
        return bool(version.options.get("state"))

    def says(self, version: ConverterVersion) -> frozenset[str]:
        """See `IConverters.says`."""
        return frozenset(name for name in ("reply", "session") if name in version.script)

    def compile(
        self, spec: ConverterSpec, tenant: str = DEFAULT_TENANT, samples: Sequence[Uplink] = ()
    ) -> Deferred[tuple[str, str]]:
        """See `IConverters.compile`."""
        if tenant in self.busy:
            return fail(TooMany("expected fewer at a time"))
        if "function" not in spec.script:
            return fail(SettingsError("script", "expected JavaScript, got something else at line 1"))
        if "undecided" in spec.script and spec.dialect == "auto" and not samples:
            return fail(Undecided(("thingsboard", "ttn-v2"), "expected thingsboard or ttn-v2"))
        dialect = "thingsboard" if spec.dialect == "auto" else spec.dialect
        return succeed((dialect, "duktape" if spec.engine == "auto" else spec.engine))

    def test(
        self, version: ConverterVersion, payload: bytes, metadata: bytes | Metadata, received_ms: int
    ) -> Deferred[dict[str, Any]]:
        """See `IConverters.test`."""
        self.tried.append(version)
        if version.tenant in self.busy:
            return fail(TooMany("expected fewer at a time"))
        text = metadata if isinstance(metadata, bytes) else msgspec.json.encode(metadata)
        made = self.makes(Job(version, payload, text, DateMs(received_ms)))
        outputs = [msgspec.json.decode(output.body) for output in made.outputs]
        error = None if made.error is None else msgspec.to_builtins(made.error)
        result = outputs[0] if outputs else None
        told = {"result": result, "telemetry": outputs, "logs": list(made.logs), "error": error}
        return succeed({**told, "warnings": list(made.warnings), "durationMs": 0.0})

    def encode(
        self,
        version: ConverterVersion,
        msg: Any,
        metadata: Metadata,
        msg_type: str,
        integration_metadata: Metadata,
    ) -> Deferred[dict[str, Any]]:
        """See `IConverters.encode`."""
        if self.problem is not None:
            return fail(ConversionFailed(self.problem))
        return succeed({"contentType": "TEXT", "data": str(msg), "metadata": {}})

    def status(self) -> dict[str, Any]:
        """See `IConverters.status`."""
        held = {
            "seccomp": True,
            "landlock": 0,
            "unconfined": False,
            "refusal": "",
            "why": "",
            **self.confinement,
        }
        return {
            "engines": ["duktape"],
            "workers": [],
            "waiting": 0,
            "suspended": {},
            "confinement": {"by": "a double", **held},
        }


@implementer(IConverterVersions)
class MemoryConverterVersions:
    """Converters with their versions; scripts are not checked. ``library`` are the bundled ones."""

    def __init__(self, library: Mapping[str, ConverterVersion] | None = None) -> None:
        self.library: Mapping[str, ConverterVersion] = library or {}
        self._saved: dict[str, tuple[Resource, list[ConverterVersion]]] = {}
        self._ids = itertools.count(1)

    async def check(self, tenant: str, spec: ConverterSpec) -> None:
        """See `IConverterVersions.check`."""

    async def create(self, tenant: str, spec: ConverterSpec) -> Resource:
        """See `IConverterVersions.create`."""
        if any((each.tenant, each.name) == (tenant, spec.name) for each, _ in self._saved.values()):
            raise Conflict(f"there is already a converter {spec.name!r}")
        id = f"id{next(self._ids)}"
        return self._keep(Resource("converter", id, tenant, spec.name, 0, 0, 0, {}), [], spec)

    async def replace(self, resource: Resource, spec: ConverterSpec, revision: int | None = None) -> Resource:
        """See `IConverterVersions.replace`."""
        current, versions = self._current(resource, revision)
        active = versions[current.body["version"] - 1]
        if (active.script, active.files, active.options, active.direction) == (
            spec.script, spec.files, spec.options, spec.type,
        ):  # fmt: skip
            return self._put(current, versions, spec, active.version)
        return self._keep(current, versions, spec)

    async def activate(self, resource: Resource, version: int, revision: int | None = None) -> Resource:
        """See `IConverterVersions.activate`."""
        current, versions = self._current(resource, revision)
        if not 1 <= version <= len(versions):
            raise NotFound(f"there is no version {version}")
        body = dict(current.body, version=version, script=versions[version - 1].script)
        changed = msgspec.structs.replace(current, body=body, revision=current.revision + 1)
        self._saved[resource.id] = (changed, versions)
        return changed

    async def delete(self, resource: Resource, revision: int | None = None) -> None:
        """See `IConverterVersions.delete`."""
        self._current(resource, revision)
        del self._saved[resource.id]

    def active(self, tenant: str, name: str) -> ConverterVersion:
        """See `IConverterVersions.active`."""
        for resource, versions in self._saved.values():
            if resource.tenant == tenant and name in (resource.id, resource.name):
                return versions[int(resource.body["version"]) - 1]
        if name in self.library:
            return self.library[name]
        raise NotFound(f"there is no converter {name!r}, neither saved nor bundled")

    def versions(self, resource: Resource) -> list[tuple[Resource, ConverterVersion]]:
        """See `IConverterVersions.versions`."""
        current, versions = self._current(resource, None)
        return [
            (Resource("converterVersion", each.key, current.tenant, each.key, 1, 0, 0, {}), each)
            for each in versions
        ]

    def _current(self, resource: Resource, revision: int | None) -> tuple[Resource, list[ConverterVersion]]:
        if resource.id not in self._saved:
            raise NotFound(f"there is no converter {resource.id!r}")
        current, versions = self._saved[resource.id]
        if revision not in (None, current.revision):
            raise Conflict(f"expected revision {revision}, the converter is at {current.revision}")
        return current, versions

    def _keep(self, resource: Resource, versions: list[ConverterVersion], spec: ConverterSpec) -> Resource:
        number = len(versions) + 1
        version = ConverterVersion(
            resource.id, number, spec.name, spec.type, spec.script, "thingsboard", "duktape",
            tenant=resource.tenant, options=spec.options, files=spec.files,
        )  # fmt: skip
        return self._put(resource, [*versions, version], spec, number)

    def _put(
        self, resource: Resource, versions: list[ConverterVersion], spec: ConverterSpec, active: int
    ) -> Resource:
        body = dict(msgspec.to_builtins(spec), version=active, versions=len(versions))
        del body["name"]
        changed = msgspec.structs.replace(resource, name=spec.name, body=body, revision=resource.revision + 1)
        self._saved[resource.id] = (changed, versions)
        return changed
