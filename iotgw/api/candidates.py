"""Which version a trial or a replay runs: the active one, another, a bundled one, or an unsaved draft."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from iotgw.api.routes import Call
from iotgw.core.errors import NotFound
from iotgw.core.model import ConverterVersion, Uplink
from iotgw.core.ports.converters import IConverters, IConverterVersions
from iotgw.core.ports.registry import IRegistry
from iotgw.core.specs import ConverterSpec, Resource


class Wanted(Protocol):
    """What a request says about the version: a draft's ``script`` with its settings, or a ``version``."""

    @property
    def script(self) -> str | None: ...  # noqa: D102
    @property
    def files(self) -> dict[str, str] | None: ...  # noqa: D102
    @property
    def dialect(self) -> str: ...  # noqa: D102
    @property
    def engine(self) -> str: ...  # noqa: D102
    @property
    def options(self) -> dict[str, Any] | None: ...  # noqa: D102
    @property
    def version(self) -> int | None: ...  # noqa: D102


def at_most_one(body: Any, *names: str) -> None:
    """Refuse a body that says the same thing in two ways: one of them would be passed over. Raises ValueError."""
    given = [name for name in names if getattr(body, name) is not None]
    if len(given) > 1:
        raise ValueError(f"expected one of {', '.join(names)}, got {' and '.join(given)}")


class Candidates:
    """Finds versions."""

    def __init__(self, registry: IRegistry, versions: IConverterVersions, converters: IConverters) -> None:
        self._registry = registry
        self._versions = versions
        self._converters = converters

    def find(self, call: Call, name: str) -> Resource:
        """A saved converter of the call's tenant; raises NotFound."""
        return self._registry.get("converter", name, call.tenant)

    def active(self, call: Call, name: str) -> ConverterVersion:
        """The active version of a saved converter, or a bundled one; raises NotFound."""
        return self._versions.active(call.tenant, name)

    async def get(
        self,
        call: Call,
        wanted: Wanted,
        name: str | None,
        direction: str = "UPLINK",
        samples: Sequence[Uplink] = (),
    ) -> ConverterVersion:
        """The version that is wanted, of a converter or of none; raises NotFound or SettingsError. The ``samples`` are messages that a
        draft is for."""
        active = self.active(call, name) if name is not None else None
        if wanted.script is not None:
            return await self._draft(call, wanted, wanted.script, active, direction, samples)
        assert active is not None and name is not None
        if wanted.version is None or wanted.version == active.version:
            return active
        for _, version in self._versions.versions(self.find(call, name)):
            if version.version == wanted.version:
                return version
        raise NotFound(f"converter {name!r} has no version {wanted.version}")

    async def _draft(
        self,
        call: Call,
        wanted: Wanted,
        script: str,
        active: ConverterVersion | None,
        direction: str,
        samples: Sequence[Uplink],
    ) -> ConverterVersion:
        options = wanted.options or (active.options if active else {})
        files = wanted.files if wanted.files is not None else (active.files if active else {})
        spec = msgspec.convert(
            {
                "name": active.name if active else "draft", "script": script, "dialect": wanted.dialect,
                "engine": wanted.engine, "type": active.direction if active else direction,
                "options": options, "files": files,
            },
            ConverterSpec,
        )  # fmt: skip
        dialect, engine = await self._converters.compile(spec, call.tenant, samples)
        return ConverterVersion(
            "draft", _fingerprint(spec), spec.name, spec.type, script, dialect, engine, call.tenant,
            options=spec.options, files=spec.files,
        )  # fmt: skip


def _fingerprint(spec: ConverterSpec) -> int:
    """A draft's version number: workers keep compiled scripts by it, so each draft needs its own."""
    return int.from_bytes(hashlib.sha256(msgspec.json.encode(spec)).digest()[:6])
