"""The converters: scripts that run, and their versions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from iotgw.core.model import DEFAULT_TENANT, Conversion, ConverterVersion, Job, Metadata, Uplink
from iotgw.core.specs import ConverterSpec, Resource


class IConverters(Interface):
    """The converter service."""

    def convert(jobs: list[Job], done: Callable[[list[Conversion]], None]) -> None:
        """Run jobs in order; call ``done(conversions)``, as many and in this order, later."""

    def remembers(version: ConverterVersion) -> bool:
        """Whether a message can change how this version converts later ones."""

    def says(version: ConverterVersion) -> frozenset[str]:
        """Which of ``reply`` and ``session`` a result of this version may have (`iotgw.core.model.Aside`)."""

    def compile(
        spec: ConverterSpec, tenant: str = DEFAULT_TENANT, samples: Sequence[Uplink] = ()
    ) -> Deferred[tuple[str, str]]:
        """Check a script of a tenant's: its ``(dialect, engine)``; fails with SettingsError, with TooMany when the tenant has
        its share under way, or with Unavailable where no script is run. A script that may be of several dialects is tried on
        its own vectors, then on the ``samples``, messages that it is for; it fails with Undecided where they don't decide."""

    def test(
        version: ConverterVersion, payload: bytes, metadata: bytes | Metadata, received_ms: int
    ) -> Deferred[dict[str, Any]]:
        """Run one conversion for a user; returns what `POST /converters/test`
        answers. ``metadata`` is a dict or its
        JSON text. Fails with TooMany when the version's tenant has its share under way."""

    def encode(
        version: ConverterVersion, msg: Any, metadata: Metadata, msg_type: str, integration_metadata: Metadata
    ) -> Deferred[dict[str, Any]]:
        """Run a downlink converter: ``{contentType, data, metadata}``, ``data`` being base64 for BINARY. Fails with
        ConversionFailed."""

    def status() -> dict[str, Any]:
        """For the API, as JSON: engines, workers, waiting jobs, suspended converters, and what confines scripts:
        ``by`` (for people), ``seccomp``, ``landlock`` (its ABI), ``unconfined`` (the setting), ``refusal`` (why no script
        is run; empty where they are) and ``why`` there is no filter."""


class IConverterVersions(Interface):
    """Converters with their immutable, numbered versions."""

    library: Mapping[str, ConverterVersion] = Attribute("the bundled ones, by name")

    async def check(tenant: str, spec: ConverterSpec) -> None:
        """Compile a script, and save nothing; raises SettingsError (script)."""

    async def create(tenant: str, spec: ConverterSpec) -> Resource:
        """Save a new converter as version 1; raises SettingsError (script) or Conflict (name)."""

    async def replace(resource: Resource, spec: ConverterSpec, revision: int | None = None) -> Resource:
        """Save a new version and make it active. If the script is unchanged, only the texts are changed."""

    async def activate(resource: Resource, version: int, revision: int | None = None) -> Resource:
        """Make an older (or newer) version the active one; raises NotFound."""

    async def delete(resource: Resource, revision: int | None = None) -> None:
        """Delete a converter with all its versions."""

    def active(tenant: str, name: str) -> ConverterVersion:
        """The version that runs for a converter's name (or id); raises NotFound."""

    def versions(resource: Resource) -> list[tuple[Resource, ConverterVersion]]:
        """All versions of a converter, oldest first, each with its registry entry."""
