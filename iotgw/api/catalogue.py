"""What all saved resources share: list, create, read, replace, change, delete, with entity tags.

A resource is shown as its spec, with secrets masked, and `ResourceFields`. What is shown can be edited and
sent back: read-only fields are ignored, and a masked secret keeps the stored one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import quote

import msgspec
from msgspec import Meta, Struct

from iotgw.api.auth import Permission
from iotgw.api.described import NextPage
from iotgw.api.foreseen import NOTHING, Foreseen
from iotgw.api.paging import LARGEST_OF_RESOURCES, fitting
from iotgw.api.problems import Problem
from iotgw.api.queries import Query
from iotgw.api.routes import Call, Reply, Route
from iotgw.core.departures import Departures, Left
from iotgw.core.errors import Conflict, NotFound, SettingsError
from iotgw.core.ports.journal import IMessages
from iotgw.core.ports.registry import IRegistry
from iotgw.core.quotas import Quotas
from iotgw.core.recorder import Recorder
from iotgw.core.specs import Deletion, Resource
from iotgw.core.validate import check_sizes, convert


class ResourceFields(Struct, frozen=True, rename="camel"):
    """What the gateway adds to a spec when it shows a resource; ignored when it is sent."""

    id: Annotated[str, Meta(description="Made by the gateway; it stays when the name is changed.")]
    tenant: Annotated[str, Meta(description="The tenant whose it is.")]
    revision: Annotated[
        int, Meta(description="How often it was saved; the entity tag (`ETag`) is made of it.")
    ]
    created_at: Annotated[int, Meta(description="When it was made: milliseconds since 1970.")]
    updated_at: Annotated[int, Meta(description="When it was saved last: milliseconds since 1970.")]
    status: Annotated[
        dict[str, Any], Meta(description="What it does now, and its figures; by kind and type.")
    ] = {}


READ_ONLY = frozenset(ResourceFields.__struct_encode_fields__)

PAGE = (
    Query("limit", int, 1000, "how many at most", range=(1, 10000)),
    Query("after", str, None, "a name; the list goes on behind it"),
)


class Page(Struct, frozen=True):
    """A page of a list."""

    items: Annotated[list[Any], Meta(description="What is on the page; it may be less than was asked for.")]
    next: NextPage = None


class Catalogue:
    """Base of the saved kinds. Subclasses name the kind and say how to check, save and show one.

    Many methods: an operation of the API is one each, and so is what a kind decides.
    """

    kind: ClassVar[str]
    collection: ClassVar[str]
    spec: ClassVar[Any]
    read_only: ClassVar[frozenset[str]] = READ_ONLY
    fields: ClassVar[type[ResourceFields]] = ResourceFields

    def __init__(self, registry: IRegistry, recorder: Recorder) -> None:
        self.registry = registry
        self.recorder = recorder
        self.quotas = Quotas(registry)

    def routes(self) -> list[Route]:
        """The routes of the collection and of one of it."""
        many, one = f"/{self.collection}", f"/{self.collection}/<name>"
        shown = (self.spec, self.fields)
        read, change = Permission.READ, Permission.WRITE
        kind, spec = self.kind, self.spec
        a_kind = f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"
        return [
            Route("GET", many, read, self.list, f"List {self.collection}", answer=Page, query=PAGE),
            Route("POST", many, change, self.create, f"Create {a_kind}", spec, shown, status=201),
            Route("GET", one, read, self.read, f"Read {a_kind} by id or name", answer=shown),
            Route(
                "PUT",
                one,
                change,
                self.replace,
                f"Replace {a_kind}, or create it",
                spec,
                shown,
                may_create=True,
            ),
            Route("PATCH", one, change, self.patch, f"Change fields of {a_kind} (RFC 7396)", dict, shown),
            self._delete_route(f"Delete {a_kind}"),
        ]

    def _delete_route(self, summary: str) -> Route:
        one = f"/{self.collection}/<name>"
        return Route("DELETE", one, Permission.WRITE, self.delete, summary, status=204)

    # --- what a kind decides ---

    async def check(
        self, tenant: str, spec: Any, stored: Resource | None, foreseen: Foreseen = NOTHING
    ) -> Any:
        """The spec as it may be saved, secrets sealed; raises SettingsError. ``foreseen`` is what is saved with it."""
        raise NotImplementedError

    async def prove(self, tenant: str, spec: Any) -> None:
        """Find what otherwise only saving would find; raises SettingsError."""

    def shown(self, resource: Resource) -> dict[str, Any]:
        """The spec of a resource as anybody may see it."""
        return {"name": resource.name, **self.masked(resource.body)}

    def masked(self, body: dict[str, Any]) -> dict[str, Any]:
        """A stored body with a mask for each secret."""
        return body

    def status(self, resource: Resource) -> dict[str, Any]:
        """How it does."""
        raise NotImplementedError

    def clear(self, body: dict[str, Any]) -> dict[str, Any]:
        """A stored body with its secrets in the clear, to compare: sealing a text twice gives two results."""
        return body

    def room(self, tenant: str) -> int | None:
        """How many more the tenant's quota lets it have; None where there is none."""
        return self.quotas.room(tenant, self.kind, len(self.registry.list(self.kind, tenant)))

    async def make(self, tenant: str, spec: Any) -> Resource:
        """Save a new one if the tenant may have one more; raises Conflict."""
        with self.quotas.making(tenant, self.kind):
            return await self.save_new(tenant, spec)

    async def save_new(self, tenant: str, spec: Any) -> Resource:
        """Save a new one, and wait until it is in force."""
        return await self.registry.create(self.kind, tenant, spec.name, body_of(spec))

    async def save(self, resource: Resource, spec: Any, revision: int | None) -> Resource:
        """Save a changed one, and wait until it is in force."""
        return await self.registry.replace(
            self.kind, resource.id, body_of(spec), name=spec.name, revision=revision
        )

    async def remove(self, resource: Resource, revision: int | None) -> None:
        """Delete one, and wait until it is gone."""
        await self.registry.delete(self.kind, resource.id, revision=revision)

    # --- the operations ---

    async def list(self, call: Call) -> Page:
        """All of them, by name."""
        found = self.registry.list(self.kind, call.tenant)
        return page(found, call, self.view)

    async def create(self, call: Call) -> Reply:
        """A new one."""
        return await self._create(call, call.json())

    async def read(self, call: Call, name: str) -> Reply:
        """One of them."""
        resource = self.find(call, name)
        if call.header("if-none-match") == tag(resource):
            return Reply(status=304, headers={"ETag": tag(resource)})
        return self._reply(resource)

    async def replace(self, call: Call, name: str) -> Reply:
        """One with a new spec; created where there is none, if the names agree."""
        value = call.json()
        try:
            resource = self.find(call, name)
        except NotFound:
            if call.header("if-match") or not isinstance(value, dict) or value.get("name", name) != name:
                raise
            return await self._create(call, {**value, "name": name})
        return await self._change(call, resource, value)

    async def patch(self, call: Call, name: str) -> Reply:
        """One with some fields changed."""
        resource = self.find(call, name)
        return await self._change(call, resource, merged(self.shown(resource), call.json()))

    async def delete(self, call: Call, name: str) -> Reply | None:
        """One less."""
        resource = self.find(call, name)
        revision = self._matching(call, resource)
        await self.remove(resource, revision)
        self.note(resource, "deleted", call.token.name)
        return None

    # --- for subclasses ---

    def note(self, resource: Resource, what: str, by: str) -> None:
        """Record who changed something; ``by`` is a token's name."""
        note(self.recorder, resource, what, by)

    def find(self, call: Call, name: str) -> Resource:
        """A resource of the call's tenant; raises NotFound."""
        return self.registry.get(self.kind, name, call.tenant)

    def view(self, resource: Resource) -> dict[str, Any]:
        """A resource as the API shows it."""
        return {
            "id": resource.id,
            **self.shown(resource),
            "tenant": resource.tenant,
            "revision": resource.revision,
            "createdAt": resource.created_ms,
            "updatedAt": resource.updated_ms,
            "status": {**self.status(resource), **leaving(resource)},
        }

    async def _create(self, call: Call, value: Any) -> Reply:
        spec = await self.check(call.tenant, self.parse(value), None)
        resource = await self.make(call.tenant, spec)
        self.note(resource, "created", call.token.name)
        return self._reply(resource, 201)

    def _reply(self, resource: Resource, status: int = 200) -> Reply:
        headers = {"ETag": tag(resource)}
        if status == 201:
            headers["Location"] = f"/api/v1/{self.collection}/{quote(resource.id, safe='')}"
        return Reply(self.view(resource), status, headers)

    def parse(self, value: Any) -> Any:
        """The spec of a JSON value, read-only fields ignored; raises SettingsError."""
        if isinstance(value, dict):
            value = {key: item for key, item in value.items() if key not in self.read_only}
        check_sizes(value)
        return convert(value, self.spec)

    async def _change(self, call: Call, resource: Resource, value: Any) -> Reply:
        revision = self._matching(call, resource)
        if isinstance(value, dict):
            value = {"name": resource.name, **value}
        if resource.deletion is not None:
            raise Conflict(f"{self.kind} {resource.name!r} is being deleted")
        spec = await self.check(call.tenant, self.parse(value), resource)
        try:
            saved = await self.save(resource, spec, revision)
        except Conflict:
            self._matching(call, self.find(call, resource.id))  # moved on while this one was checked
            raise
        self.note(saved, "changed", call.token.name)
        return self._reply(saved)

    @staticmethod
    def _matching(call: Call, resource: Resource) -> int | None:
        revision = call.revision()
        if revision is not None and revision != resource.revision:
            raise Problem(
                412, f"the revision is {resource.revision} now, not {revision}", {"ETag": tag(resource)}
            )
        return revision


class Deleted(Struct, frozen=True, rename="camel"):
    """What became of a resource that is deleted, and of its backlog."""

    state: Annotated[
        Literal["deleted", "deleting"], Meta(description="`deleting` while what waits is being worked off.")
    ]
    backlog: Annotated[
        Literal["drain", "drop"],
        Meta(description="What was asked for: to work off what waits, or to drop it."),
    ]
    drained: Annotated[int, Meta(description="How many that waited were worked off.")] = 0
    dropped: Annotated[int, Meta(description="How many that waited were dropped.")] = 0
    dead_letters: Annotated[int, Meta(description="How many dead letters were dismissed with it.")] = 0


PATIENCE = 3.0
"""Seconds that a caller waits for a backlog to go; then it goes on without him."""
BACKLOG = Query(
    "backlog", str, "drain", "what becomes of messages that wait: worked off first, or dropped",
    choices=("drain", "drop"),
)  # fmt: skip


class WithBacklog(Catalogue):
    """Base of the kinds that have a backlog, which is drained or dropped before one goes."""

    def __init__(
        self, registry: IRegistry, recorder: Recorder, departures: Departures, journal: IMessages
    ) -> None:
        super().__init__(registry, recorder)
        self._departures = departures
        self._journal = journal

    def _delete_route(self, summary: str) -> Route:
        one = f"/{self.collection}/<name>"
        return Route("DELETE", one, Permission.WRITE, self.delete, summary, answer=Deleted, query=(BACKLOG,))

    async def delete(self, call: Call, name: str) -> Reply | None:
        """One less; 202 while it has something to drain."""
        resource = self.find(call, name)
        revision = self._matching(call, resource)
        backlog = call.query("backlog")
        if backlog == "drain":
            self.check_drains(resource)
        backlog, left = await self.depart(resource, backlog, call.token.name, revision)
        if left is None:
            return Reply(Deleted("deleting", backlog), 202)
        return Reply(Deleted("deleted", backlog, left.drained, left.dropped, left.dead_letters))

    async def depart(
        self, resource: Resource, backlog: Literal["drain", "drop"], by: str, revision: int | None = None
    ) -> tuple[Literal["drain", "drop"], Left | None]:
        """Mark one for deletion, and wait a while for its backlog to go. Returns what becomes of the backlog, and what became of it, or
        None while it has something to drain."""
        decision = Deletion(backlog, self._journal.head, self._journal.epochs.current)
        marked = await self.registry.retire(self.kind, resource.id, decision, revision)
        assert marked.deletion is not None
        backlog = marked.deletion.backlog
        note(self.recorder, resource, "deleted", by, f"; its backlog: {backlog}", backlog=backlog)
        await self.closed(resource)
        return backlog, await self._departures.end(self.kind, resource.id, PATIENCE)

    def check_drains(self, resource: Resource) -> None:
        """Raise Conflict where a backlog can't be drained as things are."""

    async def closed(self, resource: Resource) -> None:
        """Wait until one that was marked takes nothing more."""


FIRST_START = "the resources file"
"""Who makes the resources of a fresh gateway; that is no line of the log for each."""


def leaving(resource: Resource) -> dict[str, Any]:
    """What the status of a resource that is being deleted says of it."""
    if resource.deletion is None:
        return {}
    return {"state": "deleting", "backlog": resource.deletion.backlog}


def note(recorder: Recorder, resource: Resource, what: str, by: str, more: str = "", **detail: Any) -> None:
    """Record who changed a resource: an event ``created``, ``changed`` or ``deleted``."""
    severity: Literal["debug", "info"] = "debug" if by == FIRST_START else "info"
    text = f"{what} by {by}{more}"
    recorder.note(what, resource.kind, resource.name, text, resource.tenant, severity, by=by, **detail)


def body_of(spec: Any) -> dict[str, Any]:
    """What is stored of a spec; its name is the resource's."""
    body: dict[str, Any] = msgspec.to_builtins(spec)
    del body["name"]
    return body


def tag(resource: Resource) -> str:
    """The entity tag of a resource."""
    return f'"{resource.revision}"'


def page(found: Sequence[Resource], call: Call, view: Callable[[Resource], Any]) -> Page:
    """A page of resources that are sorted by name."""
    after, limit = call.query("after"), call.query("limit")
    if after is not None:
        found = [resource for resource in found if resource.name > after]
    items = fitting(map(view, found[:limit]), LARGEST_OF_RESOURCES)
    return Page(items, found[len(items) - 1].name if len(found) > len(items) else None)


def merged(value: Any, patch: Any) -> Any:
    """A JSON merge patch applied (RFC 7396 §2)."""
    if not isinstance(patch, dict):
        return patch
    result = dict(value) if isinstance(value, dict) else {}
    for key, item in patch.items():
        if item is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), item)
    return result


def not_empty(name: str) -> None:
    """Check a resource's name: it stands in paths and in logs."""
    if not name.strip() or len(name) > 200 or "/" in name or not name.isprintable() or name in (".", ".."):
        raise SettingsError(
            "name",
            f"expected 1 to 200 printable characters without '/', other than '.' and '..', got {name!r}",
        )
