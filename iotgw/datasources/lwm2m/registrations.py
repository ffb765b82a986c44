"""The registrations of a datasource: made, changed, replaced and ended. Each change is durable before its device is told.

They are kept by their endpoint names, so that a newer registration stands in place of the older one, and end by their ids, so
that the end of the older one is not that of the newer.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Hashable, Iterator
from typing import Protocol

from msgspec import structs
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from iotgw.core.model import STORED, Answer, Status
from iotgw.core.ports.datasources import DatasourceContext
from iotgw.core.proof import Proved
from iotgw.datasources.coap.port import CoapPort
from iotgw.datasources.lwm2m import registration as rows
from iotgw.datasources.lwm2m.device import Lwm2mDevice
from iotgw.datasources.lwm2m.expiry import Expiry
from iotgw.datasources.lwm2m.profile import ProfilePlan
from iotgw.datasources.lwm2m.registering import ID_SIZE
from iotgw.datasources.lwm2m.registration import LIFETIME, Lwm2mRegistration, Said
from iotgw.datasources.lwm2m.settings import Lwm2mSettings

Settled = Callable[[Answer], None]
"""Called with the gateway's answer when a change is durable."""


NOT_KEPT = Answer(Status.BUSY, retry_after=10.0)
MOST_LINKS = 128 << 20
"""Bytes of the links of all registrations: a kilobyte for each of as many devices as may register by default."""


class RegistrationOwner(Protocol):
    """Who is told of changes."""

    def plan_of(self, endpoint: str) -> ProfilePlan:
        """The plan of a device with this endpoint name."""

    def happened(self, device: Lwm2mDevice, kind: str, answer: Settled) -> None:
        """Hand in that something happened to a registration."""

    def gone(self, device: Lwm2mDevice) -> None:
        """A registration has ended, or another one stands in its place."""


class Registrations:
    """Devices by id, endpoint name and remote.

    Many methods: a registration is found in four ways, and is made, changed, moved, kept and ended.
    """

    log = Logger()

    def __init__(self, owner: RegistrationOwner, settings: Lwm2mSettings, context: DatasourceContext) -> None:
        self._owner = owner
        self._settings = settings
        self._context = context
        self._by_id: dict[str, Lwm2mDevice] = {}
        self._by_endpoint: dict[str, Lwm2mDevice] = {}
        self._by_remote: dict[Hashable, Lwm2mDevice] = {}
        self._other_names: dict[str, str] = {}
        """The endpoint names of devices that are called otherwise."""
        self._links: dict[bytes, bytes] = {}
        self._size = 0
        self._expiry = Expiry(context.reactor, self._due, self._expired)
        self.lost = 0
        """Changes that could not be written; they are written with the next one."""

    def __iter__(self) -> Iterator[Lwm2mDevice]:
        return iter(self._by_endpoint.values())

    def __len__(self) -> int:
        return len(self._by_endpoint)

    def by_id(self, id: str) -> Lwm2mDevice | None:
        """The device with a registration of this id."""
        return self._by_id.get(id)

    def by_endpoint(self, endpoint: str) -> Lwm2mDevice | None:
        """The device with this endpoint name."""
        return self._by_endpoint.get(endpoint)

    def named(self, device: str) -> Lwm2mDevice | None:
        """The device of this name, which may be another one than its endpoint's."""
        found = self._by_endpoint.get(self._other_names.get(device, device))
        return found if found is not None and found.registration.device == device else None

    def at(self, remote: Hashable) -> Lwm2mDevice | None:
        """The device that registered or updated from this remote last."""
        return self._by_remote.get(remote)

    @property
    def is_full(self) -> bool:
        """Whether no further device may register."""
        return len(self._by_endpoint) >= self._settings.max_registrations or self._size >= MOST_LINKS

    def load(self) -> Deferred[None]:
        """Read those of the process before. Each has its whole lifetime again, as no device could update meanwhile."""
        kept = self._context.kept
        if kept is None:
            return succeed(None)

        def read(found: dict[str, bytes]) -> None:
            for row in found.values():
                try:
                    made = rows.decode(row)
                    self._put(self._new(rows.shared(made, self._same(made.links))))
                except ValueError as error:  # of a version that is newer
                    self.log.warn("a registration can't be read: {error}", error=error)

        return kept.rows(self._context.id).addCallback(read)

    def stop(self) -> None:
        """Nothing expires any more."""
        self._expiry.stop()

    # --- changes

    def make(
        self,
        endpoint: str,
        device: str,
        proved: tuple[Proved, str],
        what: Said,
        links: bytes,
        where: tuple[str, int],
        at: tuple[CoapPort, Hashable],
        settled: Callable[[Lwm2mDevice, Answer], None],
    ) -> None:
        """A device registers; what stood under its endpoint name is replaced. Its observations keep their tokens, so that
        they are replaced at the device as well, if it still has them."""
        former = self._by_endpoint.get(endpoint)
        made = Lwm2mRegistration(
            id=secrets.token_urlsafe(ID_SIZE * 3 // 4),
            endpoint=endpoint,
            device=device,
            proved=proved[0],
            proof=proved[1],
            version=what.version or "1.0",
            lifetime=LIFETIME if what.lifetime is None else what.lifetime,
            binding=what.binding or "U",
            queue=what.queue or "Q" in (what.binding or ""),
            sms=what.sms or "",
            links=self._same(links),
            host=where[0],
            port=where[1],
            registered_ms=self._context.date_ms(),
            tokens=dict(former.registration.tokens) if former is not None else {},
        )
        now = self._new(made)
        if former is not None:
            self._remove(former)
        self._put(now)
        now.port, remote = at
        now.heard = self._context.reactor.seconds()
        self.moved(now, remote)
        self._settle(now, "register", lambda answer: settled(now, answer))

    def change(
        self, device: Lwm2mDevice, what: Said, links: bytes | None, where: tuple[str, int], settled: Settled
    ) -> None:
        """A device updates its registration: what it doesn't name stays."""
        before = device.registration
        grows = 0 if links is None else len(links) - len(before.links)
        if grows > 0 and self._size >= MOST_LINKS:
            settled(NOT_KEPT)
            return
        self._size += grows
        after = structs.replace(
            before,
            lifetime=before.lifetime if what.lifetime is None else what.lifetime,
            binding=before.binding if what.binding is None else what.binding,
            queue=what.queue or ("Q" in what.binding if what.binding is not None else before.queue),
            sms=before.sms if what.sms is None else what.sms,
            links=before.links if links is None else self._same(links),
            host=where[0],
            port=where[1],
            told="" if where[0] == before.told_host else before.told_host,
        )
        device.registration = after
        device.ends = self._context.reactor.seconds() + self._lives(after)
        moved = structs.replace(before, host=after.host, port=after.port, told=after.told)
        if after != moved or self._settings.updates == "always":
            self._settle(device, "update", settled)
        elif after != before:
            self.keep(device).addCallback(lambda is_kept: settled(STORED if is_kept else NOT_KEPT))
        else:
            settled(STORED)

    def end(self, device: Lwm2mDevice, kind: str, settled: Settled) -> None:
        """A registration ends."""
        self._remove(device)
        self._settle(device, kind, settled, is_gone=True)

    def moved(self, device: Lwm2mDevice, remote: Hashable) -> None:
        """A device is somewhere else now."""
        if self._by_remote.get(device.remote) is device:
            del self._by_remote[device.remote]
        device.remote = remote
        self._by_remote[remote] = device

    def keep(self, device: Lwm2mDevice, is_gone: bool = False) -> Deferred[bool]:
        """Write a registration, or that there is none; fires with whether that is durable."""
        kept, registration = self._context.kept, device.registration
        if kept is None or (not is_gone and self._by_endpoint.get(registration.endpoint) is not device):
            return succeed(True)
        if is_gone and registration.endpoint in self._by_endpoint:
            return succeed(True)  # another one stands in its place
        row = None if is_gone else rows.encode(registration)
        saving = kept.save(self._context.id, {registration.endpoint: row})
        return saving.addCallbacks(lambda _: True, self._not_kept)

    # --- inside

    def _settle(self, device: Lwm2mDevice, kind: str, settled: Settled, is_gone: bool = False) -> None:
        """Write a change and tell of it; ``settled`` is called when both are durable."""
        results: list[Answer] = []

        def done(answer: Answer) -> None:
            results.append(answer)
            if len(results) == 2:
                refused = [each for each in results if each.status in (Status.BUSY, Status.TOO_LARGE)]
                settled(refused[0] if refused else answer)

        self._owner.happened(device, kind, done)
        self.keep(device, is_gone).addCallback(lambda is_kept: done(STORED if is_kept else NOT_KEPT))

    def _not_kept(self, failure: Failure) -> bool:
        self.lost += 1
        self.log.warn("a registration could not be written: {reason}", reason=failure.getErrorMessage())
        return False

    def _new(self, registration: Lwm2mRegistration) -> Lwm2mDevice:
        ends = self._context.reactor.seconds() + self._lives(registration)
        return Lwm2mDevice(registration, self._owner.plan_of(registration.endpoint), ends)

    def _lives(self, registration: Lwm2mRegistration) -> float:
        """Seconds that a registration lives without an update."""
        longest = self._settings.max_lifetime
        return min(max(registration.lifetime or longest, self._settings.min_lifetime), longest)

    def _put(self, device: Lwm2mDevice) -> None:
        registration = device.registration
        self._by_id[registration.id] = device
        self._size += len(registration.links)
        self._by_endpoint[registration.endpoint] = device
        if registration.device != registration.endpoint:
            self._other_names[registration.device] = registration.endpoint
        self._expiry.add(device.ends, registration.id)

    def _remove(self, device: Lwm2mDevice) -> None:
        registration = device.registration
        if self._by_id.pop(registration.id, None) is not None:
            self._size -= len(registration.links)
        if self._by_endpoint.get(registration.endpoint) is device:
            del self._by_endpoint[registration.endpoint]
            self._other_names.pop(registration.device, None)
        if self._by_remote.get(device.remote) is device:
            del self._by_remote[device.remote]
        self._owner.gone(device)

    def _same(self, links: bytes) -> bytes:
        """The same bytes object for the same links: devices of one type send the same."""
        if len(self._links) > 1000:
            self._links.clear()
        return self._links.setdefault(links, links)

    def _due(self, id: str) -> float | None:
        device = self._by_id.get(id)
        return None if device is None else device.ends

    def _expired(self, id: str) -> None:
        device = self._by_id[id]
        self.end(device, "expired", lambda answer: None)
