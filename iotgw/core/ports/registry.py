"""The things that users save."""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def"
from zope.interface import Interface


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
