"""`/datasources`: where data comes in. Saving one opens, changes or closes its listener before the answer."""

from __future__ import annotations

import base64
import secrets
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from iotgw.api.auth import Permission
from iotgw.api.catalogue import READ_ONLY, ResourceFields, WithBacklog, not_empty
from iotgw.api.configurations import (
    looked_at,
    sealed_configuration,
    with_clear_configuration,
    with_masked_configuration,
)
from iotgw.api.foreseen import NOTHING, Foreseen
from iotgw.api.problems import Problem
from iotgw.api.routes import Call, Route
from iotgw.core.departures import Departures
from iotgw.core.errors import Conflict, NotFound, SettingsError
from iotgw.core.model import DEFAULT_TENANT, Metadata, Status
from iotgw.core.named_sources import NAMING, following
from iotgw.core.names import unfit
from iotgw.core.ports.converters import IConverterVersions
from iotgw.core.ports.datasources import IDatasourceType, ISetsUp
from iotgw.core.ports.devices import IQuarantine
from iotgw.core.ports.journal import IMessages
from iotgw.core.ports.pipeline import IPipeline
from iotgw.core.ports.reactor import InThread
from iotgw.core.ports.registry import IRegistry
from iotgw.core.recorder import Recorder
from iotgw.core.specs import DatasourceSpec, Resource
from iotgw.core.types import Types

_READ_TEXTS = ("identity", "identityType", "deviceModel", "rejected")
"""Metadata that says who sent a message, which converter it needs, and why it is none."""


class Injection(Struct, frozen=True, forbid_unknown_fields=True):
    """An uplink by hand: ``payload`` in base64, or ``text``."""

    payload: Annotated[str | None, Meta(description="The message's bytes in base64.")] = None
    text: Annotated[str | None, Meta(description="The message as text; instead of `payload`.")] = None
    metadata: Annotated[dict[str, Any], Meta(description="added to the datasource's own")] = {}

    def __post_init__(self) -> None:
        """Refuse two payloads, and none: an empty one is said by an empty text."""
        if (self.payload is None) == (self.text is None):
            raise ValueError(
                f"expected either payload or text, got {'none' if self.text is None else 'both'}"
            )


class Injected(Struct, frozen=True):
    """What became of a message that came over the API."""

    status: Annotated[
        str, Meta(description="What became of it: `stored`, or why it was not taken, such as `busy`.")
    ]
    id: Annotated[str, Meta(description="The message's id.")]


class DatasourceFields(ResourceFields, frozen=True, rename="camel"):
    """What the gateway adds to a datasource; ``setup`` is what a user types in on the other side, with ``{gateway}`` for the
    gateway's public address (`iotgw.core.ports.datasources.SetUp`)."""

    setup: Annotated[
        dict[str, Any],
        Meta(
            description="What is to be typed in on the other side, `fields` with their texts and a `note`; `{gateway}` stands for the gateway's public address."
        ),
    ] = {}


class DatasourceRoutes(WithBacklog):
    """The routes of datasources."""

    kind = "datasource"
    collection = "datasources"
    spec = DatasourceSpec
    fields = DatasourceFields
    read_only = READ_ONLY | {"setup"}

    def __init__(
        self, registry: IRegistry, recorder: Recorder, types: Types[IDatasourceType], versions: IConverterVersions,
        pipeline: IPipeline, departures: Departures, journal: IMessages, quarantine: IQuarantine, in_thread: InThread, keep_failed: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(registry, recorder, departures, journal)
        self._types = types
        self._versions = versions
        self._pipeline = pipeline
        self._quarantine = quarantine
        self._in_thread = in_thread
        self._keep_failed = keep_failed
        """Whether one that can't be opened is saved all the same, as when a gateway starts for the first time."""

    def routes(self) -> list[Route]:
        """As of every kind, and sending an uplink by hand."""
        one = "/datasources/<name>"
        return [
            *super().routes(),
            Route(
                "POST", f"{one}/inject", Permission.UPLINK, self.inject,
                "Send an uplink through the true pipeline, marked as simulated", Injection, Injected,
            ),
        ]  # fmt: skip

    async def check(
        self, tenant: str, spec: DatasourceSpec, stored: Resource | None, foreseen: Foreseen = NOTHING
    ) -> DatasourceSpec:
        """See `Catalogue.check`."""
        not_empty(spec.name)
        readable(spec.metadata)
        stored = await looked_at(self._in_thread, self._types, spec, stored, self.registry)
        configuration = sealed_configuration(self._types, spec, stored, self.registry)
        for path, name in _named_converters(spec):
            self._check_converter(tenant, path, name, foreseen)
        key = (
            spec.routing_key or (stored.body.get("routingKey") if stored else "") or secrets.token_urlsafe(12)
        )
        self._check_routing_key(tenant, key, spec, stored, foreseen)
        return msgspec.structs.replace(spec, configuration=configuration, routing_key=key)

    def _check_converter(self, tenant: str, path: str, name: str, foreseen: Foreseen) -> None:
        direction = foreseen.converters.get(name)
        if name in foreseen.gone:
            raise SettingsError(path, f"converter {name!r} is not in the document, and would be deleted")
        try:
            direction = direction or self._versions.active(tenant, name).direction
        except NotFound as error:
            raise SettingsError(path, str(error)) from error
        wanted = "DOWNLINK" if path == "downlinkConverter" else "UPLINK"
        if direction != wanted:
            raise SettingsError(
                path, f"expected a converter of type {wanted}, got {name!r}, which is {direction}"
            )

    def _check_routing_key(
        self, tenant: str, key: str, spec: DatasourceSpec, stored: Resource | None, foreseen: Foreseen
    ) -> None:
        """A routing key selects one datasource of a type, whichever tenant it belongs to. It is part of a path. That it is
        taken tells somebody of another tenant a key, so the operator hears of it."""
        type_ = spec.type
        if key in (".", "..") or unfit(key):
            raise SettingsError("routingKey", "expected printable characters other than '.' and '..'")
        for other in self.registry.list(self.kind):
            taken = other.body.get("routingKey") == key and other.body["type"] == type_
            is_free = other.deletion is not None or other.id in foreseen.replaced
            if taken and not is_free and (stored is None or other.id != stored.id):
                if other.tenant != tenant:
                    text = f"tenant {tenant!r} tried to save {spec.name!r} with the routing key of another tenant's datasource"
                    self.recorder.note("refused", "gateway", "routing keys", text, DEFAULT_TENANT, "warning")
                raise SettingsError("routingKey", f"expected a key that no other {type_} datasource has")

    def masked(self, body: dict[str, Any]) -> dict[str, Any]:
        """See `Catalogue.masked`."""
        return with_masked_configuration(self._types, body, self.registry.unseal)

    def view(self, resource: Resource) -> dict[str, Any]:
        """See `Catalogue.view`."""
        return {**super().view(resource), **self._setup(resource)}

    def _setup(self, resource: Resource) -> dict[str, Any]:
        """What a user types in on the other side, where there is something."""
        body = resource.body
        try:
            type_ = self._types.get(body["type"])
            if not ISetsUp.providedBy(type_):
                return {}
            settings = self._types.configure(body["type"], body.get("configuration", {}))
        except SettingsError:
            return {}
        found = ISetsUp(type_).setup(settings, body.get("routingKey", ""))
        return {} if found is None else {"setup": msgspec.to_builtins(found)}

    def clear(self, body: dict[str, Any]) -> dict[str, Any]:
        """See `Catalogue.clear`."""
        return with_clear_configuration(self._types, body, self.registry.unseal)

    def status(self, resource: Resource) -> dict[str, Any]:
        """See `Catalogue.status`."""
        status = self._pipeline.status(resource.id)
        held = self._quarantine.came_by(resource.tenant, resource.id) if resource.deletion is not None else {}
        return {**status, "quarantined": sum(held.values())} if held else status

    async def save_new(self, tenant: str, spec: DatasourceSpec) -> Resource:
        """Save it; what can't be opened is not kept."""
        resource = await super().save_new(tenant, spec)
        problem = await self._opened(resource)
        if problem is not None:
            await self.registry.delete(self.kind, resource.id)
            raise problem
        return resource

    async def save(self, resource: Resource, spec: DatasourceSpec, revision: int | None) -> Resource:
        """Save it; when it can't be opened while the one before could, that one is put back."""
        worked = self.status(resource).get("state") != "failed"
        naming = [] if spec.name == resource.name else self.registry.list(NAMING, resource.tenant)
        saved = await super().save(resource, spec, revision)
        problem = await self._opened(saved)
        if problem is not None and worked:
            await self.registry.replace(self.kind, resource.id, resource.body, name=resource.name)
            await self._pipeline.applied(resource.id)
            raise problem
        for integration, _ in following(resource, saved.name, naming):
            text = f"its route names datasource {saved.name!r}, which was called {resource.name!r}"
            self.recorder.note("changed", NAMING, integration.name, text, resource.tenant, "info")
        return saved

    def check_drains(self, resource: Resource) -> None:
        """See `WithBacklog.check_drains`: what waits in quarantine can be converted only while its datasource is there."""
        held = self._quarantine.came_by(resource.tenant, resource.id)
        if held:
            devices = ", ".join(list(held)[:3]) + (", …" if len(held) > 3 else "")
            raise Conflict(
                f"{sum(held.values())} messages that came by datasource {resource.name!r} wait in quarantine ({devices}): "
                "release or drop these devices, or delete the datasource with backlog=drop"
            )

    async def closed(self, resource: Resource) -> None:
        """See `WithBacklog.closed`."""
        await self._pipeline.applied(resource.id)

    async def _opened(self, resource: Resource) -> Problem | None:
        await self._pipeline.applied(resource.id)
        status = self.status(resource)
        if self._keep_failed or status.get("state") != "failed":
            return None
        return Problem(409, f"not saved: the datasource could not be opened: {status.get('error', '')}")

    async def inject(self, call: Call, name: str) -> Injected:
        """One uplink by hand."""
        resource = self.find(call, name)
        injection = call.body()
        readable(injection.metadata)
        payload = decoded(injection.payload) if injection.text is None else injection.text.encode()
        answer = await self._pipeline.inject(resource.id, payload, injection.metadata)
        if answer.status is Status.BUSY:
            status, why = (429, "beyond a limit") if answer.is_limited else (503, "the gateway is full")
            raise Problem(status, why, {"Retry-After": str(max(1, round(answer.retry_after)))})
        if answer.status is Status.TOO_LARGE:
            raise Problem(413, "expected a smaller payload")
        return Injected(answer.status.value, answer.message_id)


def readable(metadata: Metadata) -> None:
    """Check the metadata that the gateway itself reads, where a person writes it; raises SettingsError."""
    for key in _READ_TEXTS:
        if not isinstance(metadata.get(key, ""), str):
            raise SettingsError(f"metadata.{key}", "expected a text")
    if not isinstance(metadata.get("query", {}), dict):
        raise SettingsError("metadata.query", "expected an object")


def decoded(payload: str, path: str = "payload") -> bytes:
    """Bytes of a base64 text; raises SettingsError."""
    try:
        return base64.b64decode(payload, validate=True)
    except ValueError as error:
        raise SettingsError(path, f"expected base64: {error}") from error


def _named_converters(spec: DatasourceSpec) -> list[tuple[str, str]]:
    named = [("converter", spec.converter), ("downlinkConverter", spec.downlink_converter)]
    named += [(f"converters.{model}", name) for model, name in spec.converters.items()]
    return [(path, name) for path, name in named if name]
