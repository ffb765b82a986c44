"""Whose the names are that network platforms give their devices.

People may give two devices one name. The first identity that comes with a name has it, for good; any other one goes by a name of its own,
``NAME-IDENTITY``. What an operator says in a device's entry outranks that, so a name can be moved to new hardware. A name is bound before the first
message that it comes with is stored, so every message of a device stands under the same name, whatever is restarted or converted again. An
uplink costs one look into a dict; a name's first one waits for the database.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.core.identities import identity_key, sender_key
from iotgw.core.model import Metadata
from iotgw.core.names import unfit
from iotgw.core.ports.devices import IFleet
from iotgw.core.ports.platform_names import Claimed, IPlatformNameRows, IPlatformNames, NameClaim, NamedDevice

LONGEST = 255
"""Characters of a device's name."""
SUFFIX = 64
"""Characters of an identity that may stand in a name; a longer one is shortened by its hash."""
MOST = 250_000
"""Devices whose names are kept in memory, at about 0.5 KB each; of more, all are asked for again."""
AT_ONCE = 500
"""Claims in one transaction."""
TRIES = 3
Sender = tuple[str, str, str]
"""Tenant, name on the platform, and what tells the device apart, as it came."""


@implementer(IPlatformNames)
class PlatformNames:
    """An `IPlatformNames` over what is stored in ``rows`` and what operators say in ``fleet``."""

    def __init__(self, rows: IPlatformNameRows, fleet: IFleet, most: int = MOST) -> None:
        self._rows = rows
        self._fleet = fleet
        self._most = most
        self._known: dict[Sender, NamedDevice] = {}
        self._owners: dict[tuple[str, str], str] = {}
        self._asked: dict[Sender, list[Deferred[NamedDevice]]] = {}
        """Who waits for the name of a device."""
        self._claims: list[tuple[NameClaim, Deferred[Claimed]]] = []
        self._is_claiming = False
        self._changes = 0
        """How often names may have become another's."""
        fleet.watch(self._changed)

    # --- what is known

    def known(self, tenant: str, metadata: Metadata) -> NamedDevice | None:
        """See `IPlatformNames.known`."""
        name, told = metadata.get("deviceName"), _told(metadata)
        if type(name) is not str or not told:
            return NamedDevice(str(name))
        return self._known.get((tenant, name, told)) or _as_it_comes(name)

    def is_anothers(self, tenant: str, name: str, identity: str) -> bool:
        """See `IPlatformNames.is_anothers`."""
        owner = self._owners.get((tenant, name), "")
        return bool(owner) and owner != identity_key(identity)

    async def _owner(self, tenant: str, name: str) -> str:
        entry = self._fleet.get(tenant, name)
        if entry is not None and entry.spec.identity:
            return identity_key(entry.spec.identity)
        return await self._rows.owner(tenant, name)

    def owner(self, tenant: str, name: str) -> Deferred[str]:
        """See `IPlatformNames.owner`."""
        return ensureDeferred(self._owner(tenant, name))

    def _changed(self, tenant: str, name: str, is_there: bool) -> None:
        """A device was created, deleted, or got another identity."""
        if not is_there or (tenant, name) in self._owners:
            self._changes += 1
            self._known.clear()
            self._owners.clear()

    # --- what is asked for

    def learn(self, tenant: str, metadata: Metadata) -> Deferred[NamedDevice]:
        """See `IPlatformNames.learn`."""
        sender = tenant, str(metadata["deviceName"]), _told(metadata)
        waits: Deferred[NamedDevice] = Deferred()
        waiting = self._asked.setdefault(sender, [])
        waiting.append(waits)
        if len(waiting) == 1:
            found = ensureDeferred(self._find(*sender, _keys(metadata)))
            found.addCallbacks(self._found, self._not_found, callbackArgs=(sender,), errbackArgs=(sender,))
        return waits

    def _found(self, named: NamedDevice, sender: Sender) -> None:
        for waits in self._asked.pop(sender):
            waits.callback(named)
            named = named._replace(is_new=False)

    def _not_found(self, failure: Failure, sender: Sender) -> None:
        for waits in self._asked.pop(sender):
            waits.errback(failure)

    async def _find(self, tenant: str, name: str, told: str, keys: Sequence[str]) -> NamedDevice:
        changes, owners, key = self._changes, dict[str, str](), keys[0]
        wanted, is_new = name, False
        for _ in range(TRIES):
            owner, is_new = await self._claimed(tenant, wanted, keys)
            if owner:
                owners[wanted] = owner
            if owner in keys:
                break
            wanted = _own(wanted, key)
            if not owner:  # there is no room for it: this name is nobody else's either way
                break
        else:
            wanted = hashlib.sha256(f"{name}/{key}".encode()).hexdigest()[:32]
        named = NamedDevice(wanted) if wanted == name else NamedDevice(wanted, owners.get(name, ""), is_new)
        if changes == self._changes:
            self._keep(tenant, name, told, named, owners)
        return named

    async def _claimed(self, tenant: str, name: str, keys: Sequence[str]) -> Claimed:
        entry = self._fleet.get(tenant, name)
        if entry is not None and entry.spec.identity:
            return Claimed(identity_key(entry.spec.identity))
        waits: Deferred[Claimed] = Deferred()
        self._claims.append((NameClaim(tenant, name, keys[0]), waits))
        if not self._is_claiming:
            self._claim()
        return await waits

    def _claim(self) -> None:
        """Those that came during a transaction go with the next one."""
        claims, self._claims = self._claims[:AT_ONCE], self._claims[AT_ONCE:]
        self._is_claiming = bool(claims)
        if claims:
            done = self._rows.claim([claim for claim, _ in claims])
            done.addCallbacks(
                self._are_claimed, self._not_claimed, callbackArgs=(claims,), errbackArgs=(claims,)
            )

    def _are_claimed(
        self, found: list[Claimed], claims: Sequence[tuple[NameClaim, Deferred[Claimed]]]
    ) -> None:
        for (_, waits), each in zip(claims, found, strict=True):
            waits.callback(each)
        self._claim()

    def _not_claimed(self, failure: Failure, claims: Sequence[tuple[NameClaim, Deferred[Claimed]]]) -> None:
        for _, waits in claims:
            waits.errback(failure)
        self._claim()

    def _keep(self, tenant: str, name: str, told: str, named: NamedDevice, owners: dict[str, str]) -> None:
        if len(self._known) >= self._most:
            self._known.clear()
            self._owners.clear()
        self._known[tenant, name, told] = named._replace(is_new=False)
        for each, owner in owners.items():
            self._owners[tenant, each] = owner


def _told(metadata: Metadata) -> str:
    """What tells the device of a message apart, as it came; empty where nothing does."""
    told = metadata.get("devEui") or metadata.get("identity")
    if type(told) is not str:
        told = metadata.get("identity")
    return told if type(told) is str else ""


def _as_it_comes(name: str) -> NamedDevice | None:
    """What no device can be called is left to whoever checks names."""
    return NamedDevice(name) if not name or len(name) > LONGEST or unfit(name) else None


def _keys(metadata: Metadata) -> list[str]:
    """By what a device may be known; the first is what its names are bound to."""
    identity = metadata.get("identity")
    known = (sender_key(metadata), identity_key(identity) if type(identity) is str else "")
    return [each for each in dict.fromkeys(known) if each]


def _own(name: str, key: str) -> str:
    """A name of its own for a device whose name is another's."""
    suffix = key if len(key) <= SUFFIX else hashlib.sha256(key.encode()).hexdigest()[:32]
    return f"{name[: LONGEST - len(suffix) - 1]}-{suffix}"
