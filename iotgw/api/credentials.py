"""`/credentials`: what devices prove themselves with. Secrets go in, and never come out again."""

from __future__ import annotations

from collections.abc import Container, Sequence
from itertools import count
from typing import Any

import msgspec

from iotgw.api.auth import Permission
from iotgw.api.catalogue import Catalogue, Page, body_of, not_empty
from iotgw.api.foreseen import NOTHING, Foreseen
from iotgw.api.routes import Call, Reply, Route
from iotgw.core.credential import KIND, CredentialSpec, check_secrets
from iotgw.core.errors import Conflict, IotgwError, NotFound, SettingsError
from iotgw.core.ports.clock import IDates
from iotgw.core.ports.credentials import ICredentials
from iotgw.core.ports.registry import IRegistry
from iotgw.core.recorder import Recorder
from iotgw.core.secrets import masked, revealed, sealed
from iotgw.core.specs import Resource
from iotgw.core.validate import convert


class CredentialRoutes(Catalogue):
    """The routes of credentials, and those of one device."""

    kind = KIND
    collection = "credentials"
    spec = CredentialSpec

    def __init__(
        self, registry: IRegistry, recorder: Recorder, dates: IDates, credentials: ICredentials
    ) -> None:
        super().__init__(registry, recorder)
        self._credentials = credentials
        self._dates = dates
        self._identities: dict[tuple[str, str, str], Resource] = {}
        """By tenant, type and identity."""
        for resource in registry.list(KIND):
            self._changed(None, resource)
        registry.watch(KIND, self._changed)

    def _changed(self, old: Resource | None, new: Resource | None) -> None:
        if old is not None and (known := self._identities.get(_identity(old))) and known.id == old.id:
            del self._identities[_identity(old)]
        if new is not None:
            self._identities[_identity(new)] = new

    def routes(self) -> list[Route]:
        """As of every kind, and by device."""
        of_device = "/devices/<device>/credentials"
        return [
            *super().routes(),
            Route("GET", of_device, Permission.READ, self.of_device, "A device's credentials", answer=Page),
            Route(
                "POST", of_device, Permission.WRITE, self.create_for, "Give a device a credential",
                CredentialSpec, dict, status=201,
            ),
        ]  # fmt: skip

    async def check(
        self, tenant: str, spec: CredentialSpec, stored: Resource | None, foreseen: Foreseen = NOTHING
    ) -> CredentialSpec:
        """See `Catalogue.check`."""
        not_empty(spec.name)
        other = self._identities.get((tenant, spec.type, spec.identity))
        is_other = other is not None and (stored is None or other.id != stored.id)
        if other is not None and is_other and other.id not in foreseen.replaced:
            raise SettingsError(
                "identity", f"expected an identity of its own, got that of credential {other.name!r}"
            )
        before = stored.body if stored is not None else None
        body = sealed(msgspec.to_builtins(spec), CredentialSpec, self.registry, before)
        self._check_secrets(body)
        return convert(body, CredentialSpec)

    def _check_secrets(self, body: dict[str, Any]) -> None:
        """Check also those that a mask kept: their encoding may have changed."""
        try:
            clear = self.clear(body)
        except IotgwError as error:
            raise SettingsError("secrets", f"must be entered again: {error}") from error
        try:
            check_secrets(convert(clear, CredentialSpec))
        except ValueError as error:
            path, _, problem = str(error).partition(": ")
            raise SettingsError(path, problem) from error

    def masked(self, body: dict[str, Any]) -> dict[str, Any]:
        """See `Catalogue.masked`."""
        shown: dict[str, Any] = masked(body, CredentialSpec, self.registry.unseal)
        return shown

    def clear(self, body: dict[str, Any]) -> dict[str, Any]:
        """See `Catalogue.clear`. A secret is what it is by any id."""
        clear: dict[str, Any] = revealed(body, CredentialSpec, self.registry.unseal)
        secrets = [{**secret, "id": ""} for secret in clear.get("secrets", ())]
        return {**clear, "secrets": secrets}

    def status(self, resource: Resource) -> dict[str, Any]:
        """Whether one of its secrets is good now, or why none can be used."""
        if problem := self._credentials.unusable.get(resource.id):
            return {"state": "failed", "error": f"its secrets must be entered again: {problem}"}
        now = int(self._dates.seconds() * 1000)
        spec = convert({"name": resource.name, **resource.body}, CredentialSpec)
        good = [
            (secret.not_before or 0) <= now < (secret.not_after or 1 << 62) for secret in spec.secrets
        ] or [spec.type == "x509"]
        return {"state": "active" if spec.enabled and any(good) else "inactive"}

    # --- for lists of devices ---

    async def checked(
        self, tenant: str, device: str, value: Any, names: set[str]
    ) -> tuple[CredentialSpec, Resource | None]:
        """A credential for a device as it may be saved, and the stored one in whose place it comes; raises SettingsError. ``names`` are those that
        others of the list get; its own is added."""
        if not isinstance(value, dict):
            raise SettingsError("credentials", f"expected objects, got {type(value).__name__}")
        identity = value.get("identity") or device
        stored = self._identities.get((tenant, str(value.get("type", "psk")), str(identity)))
        if stored is not None and device not in (stored.body.get("device") or stored.body["identity"],):
            stored = None  # another device's, which `check` says
        name = stored.name if stored is not None else self._free_name(tenant, device, names)
        spec = self.parse({"name": name, **value, "identity": identity, "device": device})
        names.add(spec.name)
        try:
            return await self.check(tenant, spec, stored), stored
        except SettingsError as error:
            raise SettingsError(f"credentials.{error.path}", error.problem) from error

    async def put_new(self, tenant: str, specs: Sequence[CredentialSpec], by: str) -> None:
        """Save new ones that `checked` gave: all of them, or none. Raises Conflict."""
        named = [(spec.name, body_of(spec)) for spec in specs]
        for made in await self.registry.create_all(KIND, tenant, named):
            self.note(made, "created", by)

    async def put(self, tenant: str, spec: CredentialSpec, stored: Resource | None, by: str) -> None:
        """Save what `checked` gave."""
        if stored is None:
            self.note(await self.make(tenant, spec), "created", by)
        elif stored.id in self._credentials.unusable or self.clear(body_of(spec)) != self.clear(
            {**stored.body}
        ):
            self.note(await self.save(stored, spec, None), "changed", by)

    def held_by(self, tenant: str) -> dict[str, list[Resource]]:
        """All credentials of a tenant, by their device."""
        found: dict[str, list[Resource]] = {}
        for each in self.registry.list(KIND, tenant):
            found.setdefault(each.body.get("device") or each.body["identity"], []).append(each)
        return found

    def in_the_clear(self, resource: Resource) -> dict[str, Any]:
        """A credential with its secrets, for an admin who takes them elsewhere. Raises Conflict where they can't be decrypted."""
        try:
            return {"name": resource.name, **self.clear(resource.body)}
        except IotgwError as error:
            raise Conflict(
                f"the secrets of credential {resource.name!r} must be entered again: {error}"
            ) from error

    def _free_name(self, tenant: str, device: str, taken: Container[str]) -> str:
        wanted = device.replace("/", "-")[:180]
        for number in count(1):
            name = wanted if number == 1 else f"{wanted}-{number}"
            if name in taken:
                continue
            try:
                self.registry.get(KIND, name, tenant)
            except NotFound:
                return name
        raise AssertionError

    async def of_device(self, call: Call, device: str) -> Page:
        """Those that a device holds."""
        found = self.registry.list(KIND, call.tenant)
        held = [each for each in found if device in (each.body.get("device") or each.body["identity"],)]
        return Page([self.view(each) for each in held])

    async def create_for(self, call: Call, device: str) -> Reply:
        """One more for a device; named after it where it has no name."""
        value = call.json()
        if not isinstance(value, dict):
            raise SettingsError("", "expected an object")
        return await self._create(call, {"name": device, "identity": device, **value, "device": device})


def _identity(resource: Resource) -> tuple[str, str, str]:
    return resource.tenant, resource.body.get("type", "psk"), resource.body["identity"]
