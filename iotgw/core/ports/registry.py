"""The resources that users save. Reads are synchronous, from memory; writes return Deferreds."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import Interface

from iotgw.core.specs import Deletion, Resource

Watcher = Callable[[Resource | None, Resource | None], None]
"""``watcher(old, new)``: ``old`` is None for a new resource, ``new`` for a deleted one."""


class IRegistry(Interface):
    """Resources by kind, tenant and name."""

    def list(kind: str, tenant: str | None = None) -> builtins.list[Resource]:
        """Resources by name; of every tenant without ``tenant``."""

    def get(kind: str, id_or_name: str, tenant: str | None = None) -> Resource:
        """One of them; raises NotFound."""

    def name_of(kind: str, id: str) -> str:
        """The name of a resource, also of one that is being deleted; its id where there is none."""

    def create(kind: str, tenant: str, name: str, body: dict[str, Any]) -> Deferred[Resource]:
        """The new resource; fails with Conflict when the name is taken."""

    def create_all(
        kind: str, tenant: str, named: Sequence[tuple[str, dict[str, Any]]]
    ) -> Deferred[builtins.list[Resource]]:
        """New resources of these names and bodies, written at once: all of them, or none. Fails as `create` does."""

    def replace(
        kind: str, id: str, body: dict[str, Any], name: str | None = None, revision: int | None = None
    ) -> Deferred[Resource]:
        """The changed resource; fails with NotFound, or Conflict when ``revision`` moved on or it is being
        deleted. Integrations whose routes name a datasource by its name name it by its new one, from the same moment on: they get a
        further revision, too."""

    def retire(kind: str, id: str, deletion: Deletion, revision: int | None = None) -> Deferred[Resource]:
        """Mark a resource as one that is being deleted, for good: it is listed until somebody deletes it. A second
        time the decision may change from draining to dropping, not back. Fails as `replace` does."""

    def delete(kind: str, id: str, revision: int | None = None) -> Deferred[None]:
        """Fails with NotFound or Conflict."""

    def watch(kind: str, callback: Watcher) -> None:
        """Call ``callback(old, new)`` after each change."""

    def unwatch(kind: str, callback: Watcher) -> None:
        """End a `watch`."""

    def seal(secret: str) -> str:
        """Encrypt a secret text for a resource's body."""

    def unseal(sealed: str) -> str:
        """Decrypt a text from `seal`; raises IotgwError if the key has changed."""
