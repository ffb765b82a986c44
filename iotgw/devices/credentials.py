"""Devices' credentials: pre-shared keys and certificates, as users save them.

A credential names its holder (``device``). It may have several secrets at once, each with its period of
validity, so that a device's key can be changed without interruption. `Credentials` keeps them in memory: a
handshake looks them up inside an OpenSSL callback and can't wait.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import msgspec
from msgspec import Struct
from twisted.logger import Logger
from zope.interface import implementer

from iotgw.core.credential import KIND, CredentialSpec, Grant
from iotgw.core.errors import IotgwError
from iotgw.core.ports.credentials import ICredentials, ITenantCredentials
from iotgw.core.ports.registry import IRegistry
from iotgw.core.secrets import revealed
from iotgw.core.specs import Resource


class _Held(Struct, frozen=True):
    """A credential with its secrets in the clear."""

    id: str
    tenant: str
    spec: CredentialSpec
    secrets: tuple[tuple[bytes, int, int], ...]

    def grants(self, identity: str, now_ms: int) -> Iterator[tuple[bytes, Grant]]:
        """The secrets that are valid now for an identity."""
        for secret, begin, end in self.secrets:
            if begin <= now_ms < end:
                key = derived(secret, self.spec.derive, identity)
                yield key, self.grant(identity, digest(secret))

    def grant(self, identity: str, key: str = "") -> Grant:
        """The grant of this credential."""
        spec = self.spec
        device = spec.device or identity
        return Grant(self.id, self.tenant, device, key, spec.enabled, spec.allow_insecure)


@implementer(ICredentials)
class Credentials:
    """Every tenant's credentials, from the registry and after each of its changes.

    ``now_ms`` is the clock. A credential that can't be decrypted (the key that seals secrets was replaced) gives nothing to anybody, and is
    ``unusable``.
    """

    _log = Logger()

    def __init__(self, registry: IRegistry, now_ms: Callable[[], int]) -> None:
        self._unseal = registry.unseal
        self._now_ms = now_ms
        self._held: dict[str, _Held] = {}
        self.unusable: dict[str, str] = {}
        self._tenants: dict[str, _Index] = {}
        self._watchers: list[Callable[[], None]] = []
        self._registry = registry

    def start(self) -> None:
        """Load the registry's credentials and follow changes; the registry has started."""
        for resource in self._registry.list(KIND):
            self._take(resource)
        self._registry.watch(KIND, self._changed)

    def of(self, tenant: str) -> TenantCredentials:
        """Those of one tenant."""
        return TenantCredentials(self, tenant)

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call ``callback()`` after a change that may end a session; returns a function that unsubscribes."""
        self._watchers.append(callback)
        return lambda: self._watchers.remove(callback)

    def index(self, tenant: str) -> _Index:
        """A tenant's credentials, as of now."""
        return self._tenants.get(tenant, _EMPTY)

    def now_ms(self) -> int:
        """The time."""
        return self._now_ms()

    def is_good(self, grant: Grant, name: str) -> bool:
        """Whether a credential still gives this grant under ``name``: it exists, is enabled, and has the
        grant's secret and device."""
        held = self._held.get(grant.credential)
        if held is None or not held.spec.enabled or held.tenant != grant.tenant:
            return False
        if (held.spec.device or name) != grant.device:
            return False
        return not grant.key or any(digest(secret) == grant.key for secret, _, _ in held.secrets)

    def _changed(self, old: Resource | None, new: Resource | None) -> None:
        held = self._held.pop(old.id, None) if old is not None else None
        if old is not None:
            self.unusable.pop(old.id, None)
        if held is not None:
            self._tenants[held.tenant].remove(held)
        if new is not None:
            self._take(new)
        if held is None and new is not None and new.body.get("type", "psk") == "psk":
            return  # not used for a session yet
        for watcher in tuple(self._watchers):
            watcher()

    def _take(self, resource: Resource) -> None:
        try:
            held = self._hold(resource)
        except (IotgwError, ValueError) as error:  # the others stay in use
            self.unusable[resource.id] = str(error)
            self._log.error("credential {name} can't be used: {error}", name=resource.name, error=error)
            return
        self._held[held.id] = held
        self._tenants.setdefault(held.tenant, _Index()).add(held)

    def _hold(self, resource: Resource) -> _Held:
        body = revealed({**resource.body, "name": resource.name}, CredentialSpec, self._unseal)
        spec = msgspec.convert(body, CredentialSpec)
        secrets = [(s.decoded(), s.not_before or 0, s.not_after or 1 << 62) for s in spec.secrets]
        secrets.sort(key=lambda secret: -secret[1])
        return _Held(resource.id, resource.tenant, spec, tuple(secrets))


_NONE: list[_Held] = []


class _Index:
    """One tenant's credentials, by what they are looked up by."""

    def __init__(self) -> None:
        self.psk: dict[str, list[_Held]] = {}
        self.patterns: dict[str, tuple[str, str, _Held]] = {}
        self.x509: dict[str, _Held] = {}
        self.devices: dict[str, list[_Held]] = {}
        self._prefixes: dict[str, list[_Held]] = {}
        """Patterns that don't match everything, by what is before the star."""
        self._lengths: Counter[int] = Counter()
        """Of those beginnings."""
        self._with_several: set[str] = set()

    @property
    def several(self) -> bool:
        """Whether any identity has more than one secret."""
        return bool(self._with_several)

    def add(self, held: _Held) -> None:
        """Add a credential."""
        spec = held.spec
        before, star, behind = spec.identity.partition("*")
        if len(held.secrets) > 1:
            self._with_several.add(held.id)
        if star:
            self.patterns[held.id] = before, behind, held
            if before or behind:
                self._prefixes.setdefault(before, []).append(held)
                self._lengths[len(before)] += 1
            return
        if spec.type == "x509":
            self.x509[spec.identity] = held
        else:
            self.psk.setdefault(spec.identity, []).append(held)
            if len(self.psk[spec.identity]) > 1:
                self._with_several.add(spec.identity)
        self.devices.setdefault(spec.device or spec.identity, []).append(held)

    def remove(self, held: _Held) -> None:
        """Remove a credential."""
        spec = held.spec
        self._with_several.discard(held.id)
        if self.patterns.pop(held.id, None) is not None:
            before, _, behind = spec.identity.partition("*")
            if before or behind:
                _drop(self._prefixes, before, held)
                self._lengths[len(before)] -= 1
                self._lengths = +self._lengths
            return
        if spec.type == "x509":
            if self.x509.get(spec.identity) is held:
                del self.x509[spec.identity]
        else:
            _drop(self.psk, spec.identity, held)
            if len(self.psk.get(spec.identity, ())) < 2:
                self._with_several.discard(spec.identity)
        _drop(self.devices, spec.device or spec.identity, held)

    def of_device(self, name: str) -> Sequence[_Held]:
        """The credentials of a device, by patterns as well."""
        found = self.devices.get(name, _NONE)
        if not self._lengths:
            return found
        for length in self._lengths:
            for held in self._prefixes.get(name[:length], _NONE):
                behind = held.spec.identity[length + 1 :]
                if len(name) >= length + len(behind) and name.endswith(behind):
                    found = [*found, held]
        return found

    def matching(self, identity: str) -> list[_Held]:
        """The credentials for a PSK identity; one for exactly this identity takes precedence over patterns."""
        exact = self.psk.get(identity)
        if exact is not None:
            return exact
        size = len(identity)
        return [
            held
            for before, behind, held in self.patterns.values()
            if size >= len(before) + len(behind) and identity.startswith(before) and identity.endswith(behind)
        ]


_EMPTY = _Index()
"""Of a tenant without credentials."""


@implementer(ITenantCredentials)
class TenantCredentials:
    """The credentials of one tenant, as a handshake looks them up."""

    def __init__(self, credentials: Credentials, tenant: str) -> None:
        self._all = credentials
        self._tenant = tenant

    def psk(self, identity: str) -> list[tuple[bytes, Grant]]:
        """The keys that are valid now for a PSK identity, each with its grant; newest first."""
        now = self._all.now_ms()
        found = self._all.index(self._tenant).matching(identity)
        return [grant for held in found if held.spec.enabled for grant in held.grants(identity, now)]

    def account(self, device: str, but: str) -> tuple[str, bytes] | None:
        """See `ITenantCredentials.account`."""
        now = self._all.now_ms()
        found: list[tuple[str, bytes]] = []
        for held in self._all.index(self._tenant).of_device(device):
            if held.spec.type == "psk" and held.spec.enabled:
                identity = device if "*" in held.spec.identity else held.spec.identity
                found += [(identity, key) for key, _ in held.grants(identity, now)][:1]
        return next((each for each in found if each[0] != but), found[0] if found else None)

    @property
    def several(self) -> bool:
        """Whether an identity has more than one secret, now or at another time."""
        return self._all.index(self._tenant).several

    def x509(self, *names: str) -> Grant | None:
        """The grant of the first known name (device name, fingerprint); None if none is known."""
        known = self._all.index(self._tenant).x509
        return next((known[name].grant(names[0]) for name in names if name in known), None)

    @property
    def are_any(self) -> bool:
        """See `ITenantCredentials.are_any`."""
        index = self._all.index(self._tenant)
        return bool(index.devices or index.patterns)

    def must_be_secure(self, device: str) -> bool:
        """See `ITenantCredentials.must_be_secure`."""
        held = self._all.index(self._tenant).of_device(device)
        return bool(held) and not any(each.spec.enabled and each.spec.allow_insecure for each in held)

    def may_be_insecure(self, device: str) -> bool:
        """See `ITenantCredentials.may_be_insecure`."""
        held = self._all.index(self._tenant).of_device(device)
        return any(each.spec.enabled and each.spec.allow_insecure for each in held)


def _drop(lists: dict[str, list[_Held]], key: str, held: _Held) -> None:
    found = lists[key]
    found.remove(held)
    if not found:
        del lists[key]


def derived(secret: bytes, how: str, identity: str) -> bytes:
    """Derive a device's key from a master secret and the device's PSK identity."""
    if how == "none":
        return secret
    key = hmac.digest(secret, identity.encode("utf-8", "surrogateescape"), "sha256")
    return key[:16] if how == "hmac-sha256-128" else key


def digest(secret: bytes) -> str:
    """Identify a secret without revealing it."""
    return hashlib.blake2s(secret, digest_size=8, person=b"iotgwkey").hexdigest()
