"""`ICredentials` in a list, and a way to save one in a registry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import structs
from twisted.internet.defer import Deferred
from zope.interface import implementer

from iotgw.core.credential import KIND, CredentialSpec, Grant
from iotgw.core.errors import NotFound
from iotgw.core.model import DEFAULT_TENANT
from iotgw.core.ports.credentials import ICredentials, ITenantCredentials
from iotgw.core.ports.registry import IRegistry
from iotgw.core.secrets import sealed
from iotgw.core.specs import Resource
from iotgw.core.validate import convert


@implementer(ICredentials)
class MemoryCredentials:
    """Credentials that a test adds and revokes. They have no periods of validity and no patterns: an identity
    belongs to one device."""

    def __init__(self) -> None:
        self.psks: list[tuple[str, bytes, Grant]] = []
        """``(identity, secret, what it gives)``."""
        self.certificates: dict[tuple[str, str], Grant] = {}
        """``(tenant, name or fingerprint)`` → what it gives."""
        self.unusable: dict[str, str] = {}
        self._watchers: list[Callable[[], None]] = []

    def add_psk(
        self,
        identity: str,
        secret: bytes,
        device: str = "",
        tenant: str = DEFAULT_TENANT,
        allow_insecure: bool = False,
    ) -> Grant:
        """A pre-shared key; the newest of an identity comes first."""
        key = f"{identity}/{len(self.psks)}"
        grant = Grant(
            f"c-{identity}-{tenant}", tenant, device or identity, key, allow_insecure=allow_insecure
        )
        self.psks.insert(0, (identity, secret, grant))
        return grant

    def add_x509(
        self, name: str, device: str = "", tenant: str = DEFAULT_TENANT, enabled: bool = True
    ) -> Grant:
        """A certificate, by its device name or SHA-256 fingerprint; without a ``device`` its holder goes by its name."""
        grant = Grant(f"c-{name}-{tenant}", tenant, device, enabled=enabled)
        self.certificates[tenant, name] = grant
        return grant

    def revoke(self, grant: Grant) -> None:
        """Revoke a credential, and call the watchers."""
        id = grant.credential
        self.psks = [each for each in self.psks if each[2].credential != id]
        self.certificates = {key: each for key, each in self.certificates.items() if each.credential != id}
        for watcher in tuple(self._watchers):
            watcher()

    def of(self, tenant: str) -> MemoryTenantCredentials:
        """See `ICredentials.of`."""
        return MemoryTenantCredentials(self, tenant)

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """See `ICredentials.watch`."""
        self._watchers.append(callback)
        return lambda: self._watchers.remove(callback)

    def is_good(self, grant: Grant, name: str) -> bool:
        """See `ICredentials.is_good`."""
        known = [*(each for _, _, each in self.psks), *self.certificates.values()]
        return grant.enabled and any(
            (each.credential, each.key, each.device or name) == (grant.credential, grant.key, grant.device)
            for each in known
        )


@implementer(ITenantCredentials)
class MemoryTenantCredentials:
    """Those of one tenant."""

    def __init__(self, all: MemoryCredentials, tenant: str) -> None:
        self._all = all
        self._tenant = tenant

    @property
    def several(self) -> bool:
        """See `ITenantCredentials.several`."""
        identities = [identity for identity, _, grant in self._all.psks if grant.tenant == self._tenant]
        return len(set(identities)) < len(identities)

    def psk(self, identity: str) -> list[tuple[bytes, Grant]]:
        """See `ITenantCredentials.psk`."""
        return [
            (secret, grant)
            for known, secret, grant in self._all.psks
            if known == identity and grant.tenant == self._tenant
        ]

    def account(self, device: str, but: str) -> tuple[str, bytes] | None:
        """See `ITenantCredentials.account`."""
        found = [
            (identity, secret)
            for identity, secret, grant in self._all.psks
            if (grant.tenant, grant.device) == (self._tenant, device) and grant.enabled
        ]
        return next((each for each in found if each[0] != but), found[0] if found else None)

    def x509(self, *names: str) -> Grant | None:
        """See `ITenantCredentials.x509`."""
        for name in names:
            grant = self._all.certificates.get((self._tenant, name))
            if grant is not None:
                return grant if grant.device else structs.replace(grant, device=names[0])
        return None

    @property
    def are_any(self) -> bool:
        """See `ITenantCredentials.are_any`."""
        return any(tenant == self._tenant for tenant, _, _ in self._named())

    def must_be_secure(self, device: str) -> bool:
        """See `ITenantCredentials.must_be_secure`."""
        held = self._of_device(device)
        return bool(held) and not any(each.enabled and each.allow_insecure for each in held)

    def may_be_insecure(self, device: str) -> bool:
        """See `ITenantCredentials.may_be_insecure`."""
        return any(each.enabled and each.allow_insecure for each in self._of_device(device))

    def _named(self) -> list[tuple[str, str, Grant]]:
        certificates = [(tenant, name, grant) for (tenant, name), grant in self._all.certificates.items()]
        return [(grant.tenant, identity, grant) for identity, _, grant in self._all.psks] + certificates

    def _of_device(self, device: str) -> list[Grant]:
        return [
            grant
            for tenant, identity, grant in self._named()
            if tenant == self._tenant and (grant.device or identity) == device
        ]


def save_credential(
    registry: IRegistry, name: str, tenant: str = DEFAULT_TENANT, **body: Any
) -> Deferred[Resource]:
    """Save a credential as the API does, new or in the place of the one of that name: ``body`` as the API takes it, a PSK
    whose identity is the name where nothing else is said."""
    body = {"type": "psk", "identity": name, **body}
    convert({**body, "name": name}, CredentialSpec)
    body = sealed(body, CredentialSpec, registry)
    try:
        old = registry.get(KIND, name, tenant)
    except NotFound:
        return registry.create(KIND, tenant, name, body)
    return registry.replace(KIND, old.id, body)
