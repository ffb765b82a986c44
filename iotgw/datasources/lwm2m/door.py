"""Who may register under which name, and what a request to ``/rd`` and ``/dp`` becomes, on one port of a datasource."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Protocol

from iotgw.core.model import Answer
from iotgw.core.networks import NOT_ALLOWED
from iotgw.core.ports.datasources import DatasourceContext
from iotgw.datasources.coap.downlink import proved_by
from iotgw.datasources.coap.port import CoapPort, address_of
from iotgw.datasources.coap.secure_port import CoapsPort
from iotgw.datasources.coap.security import UNTRUSTED, Anchors
from iotgw.datasources.lwm2m.asking import Asking
from iotgw.datasources.lwm2m.device import Lwm2mDevice
from iotgw.datasources.lwm2m.registering import BUSY, Dp, Rd, Reply, created, of_answer
from iotgw.datasources.lwm2m.registration import Said
from iotgw.datasources.lwm2m.registrations import Registrations
from iotgw.datasources.lwm2m.settings import Lwm2mSettings
from iotgw.dtls.session import DtlsSession
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import Message, error
from iotgw.wire.coap.site import Path, Resource
from iotgw.wire.lwm2m import formats

CHANGED = Message(n.CHANGED)
DELETED = Message(n.DELETED)
UNKNOWN = Message(n.NOT_FOUND)
"""Its device registers again (leshan#205)."""
_SENDABLE = frozenset((formats.SENML_JSON, formats.SENML_CBOR))


class Taker(Protocol):
    """Who takes what devices send."""

    def sent(self, device: Lwm2mDevice, request: Message, answer: Callable[[Answer], None]) -> str:
        """Take it; returns why it can't be read."""

    def was_heard(self, device: Lwm2mDevice) -> None:
        """A message of the device came."""


class Door:
    """A `Registrar` on one port."""

    def __init__(
        self,
        taker: Taker,
        registrations: Registrations,
        asking: Asking,
        context: DatasourceContext,
        settings: Lwm2mSettings,
        port: CoapPort,
    ) -> None:
        self._taker = taker
        self._registrations = registrations
        self._asking = asking
        self._context = context
        self._settings = settings
        self._port = port
        self._path: Path = ()
        self._anchors = Anchors(settings.dtls, port) if isinstance(port, CoapsPort) else None

    def resources(self, prefix: Path) -> dict[Path, Resource]:
        """What is served, below a path."""
        policy = self._settings.coap.policy
        self._path = (*prefix, "rd")
        rd = Rd(self, policy, self._port.sent, self._refuses)
        dp = Dp(self, policy, self._port.sent, self._refuses)
        found: dict[Path, Resource] = {self._path: rd, (*prefix, "dp"): dp}
        if self._context.allow:
            for resource in found.values():
                resource.admits = self._admits
        return found

    def _admits(self, remote: Hashable) -> bool:
        host = address_of(remote)
        if self._context.allow.has(host):
            return True
        self._context.intake.refuse("network", host, NOT_ALLOWED)
        return False

    def _refuses(self, remote: Hashable) -> str:
        if self._anchors is None or not isinstance(remote, DtlsSession) or self._anchors.trust(remote):
            return ""
        self._context.intake.refuse("identity", address_of(remote), UNTRUSTED)
        return UNTRUSTED

    # --- Registrar

    def register(self, remote: Hashable, what: Said, links: bytes, reply: Reply) -> None:
        """See `Registrar.register`."""
        endpoint, device, objection = self._names(remote, what.endpoint)
        if objection:
            self._context.intake.refuse("identity", address_of(remote), objection)
            reply(error(n.FORBIDDEN, objection))
            return
        if not endpoint:
            reply(error(n.BAD_REQUEST, "ep: expected an endpoint name"))
            return
        former = self._registrations.by_endpoint(endpoint)
        if former is None and self._registrations.is_full:
            reply(BUSY)
            return

        def settled(made: Lwm2mDevice, answer: Answer) -> None:
            reply(of_answer(answer, created(self._path, made.registration.id)))
            if self._registrations.by_id(made.registration.id) is made:
                self._asking.refresh(made)

        proof = remote.identity.type if isinstance(remote, DtlsSession) else ""
        proved = proved_by(remote), proof
        at = self._port, remote
        self._registrations.make(endpoint, device, proved, what, links, self._where(remote), at, settled)

    def update(self, remote: Hashable, id: str, what: Said, links: bytes | None, reply: Reply) -> None:
        """See `Registrar.update`."""
        device = self._owned(remote, id)
        if device is None:
            reply(UNKNOWN)
            return
        where = self._where(remote)
        if where[0] == device.registration.told_host:
            self._port.endpoint.proved(remote)
        if device.remote != remote:
            self._asking.leave(device)
            self._is_at(device, remote)
            device.is_fresh = False
        device.heard = self._context.reactor.seconds()
        device.is_asleep = False
        had = device.registration.links

        def settled(answer: Answer) -> None:
            reply(of_answer(answer, CHANGED))
            if self._registrations.by_id(id) is not device:
                return
            if device.is_fresh and self._asking.is_overdue(device):
                self._asking.leave(device)
                device.is_fresh = False
            if device.is_fresh and device.registration.links == had:
                self._asking.go_on(device)
            else:
                self._asking.refresh(device)

        self._registrations.change(device, what, links, where, settled)

    def deregister(self, remote: Hashable, id: str, reply: Reply) -> None:
        """See `Registrar.deregister`."""
        device = self._owned(remote, id)
        if device is None:
            reply(UNKNOWN)
            return
        self._registrations.end(device, "deregister", lambda answer: reply(of_answer(answer, DELETED)))

    def sent(self, remote: Hashable, request: Message, reply: Reply) -> None:
        """See `Registrar.sent`."""
        here = self._registrations.at(remote)
        device = here or self._back(remote)
        if device is None:
            reply(UNKNOWN)
        elif request.options.get_uint(n.CONTENT_FORMAT) not in _SENDABLE:
            reply(Message(n.UNSUPPORTED_CONTENT_FORMAT))
        else:
            problem = self._taker.sent(device, request, lambda answer: reply(of_answer(answer, CHANGED)))
            if problem:
                reply(error(n.BAD_REQUEST, problem[:200]))
            self._taker.was_heard(device)
            if here is None:
                self._asking.refresh(device)

    # --- inside

    def _back(self, remote: Hashable) -> Lwm2mDevice | None:
        """The device that comes with a new session and sends before it updates, known by what it proved: after a restart of the
        gateway, or from another address."""
        proved = proved_by(remote)
        if not isinstance(remote, DtlsSession) or not proved:
            return None
        found = (self._registrations.by_endpoint(name) for name in (remote.identity.name, proved))
        device = next(
            (each for each in found if each is not None and each.registration.proved == proved), None
        )
        if device is not None:
            self._asking.leave(device)
            self._is_at(device, remote)
            device.is_fresh = False
        return device

    def _is_at(self, device: Lwm2mDevice, remote: Hashable) -> None:
        device.port = self._port
        device.heard = self._context.reactor.seconds()
        self._registrations.moved(device, remote)

    def _owned(self, remote: Hashable, id: str) -> Lwm2mDevice | None:
        """The device with this registration, if it is the peer's."""
        device = self._registrations.by_id(id)
        return device if device is not None and device.registration.proved == proved_by(remote) else None

    def _where(self, remote: Hashable) -> tuple[str, int]:
        address = remote.address if isinstance(remote, DtlsSession) else remote
        assert isinstance(address, tuple)
        return str(address[0]), int(address[1])

    def _names(self, remote: Hashable, endpoint: str) -> tuple[str, str, str]:
        """The endpoint's name, its device's, and why the peer may not have it (Core §6.2.1: 4.03)."""
        proved = proved_by(remote)
        if isinstance(remote, DtlsSession) and proved:
            endpoint = endpoint or proved
            if endpoint in (proved, remote.identity.name):
                return endpoint, proved, self._replaces(endpoint, proved)
            if self._settings.endpoint_is == "identity":
                return endpoint, "", f"endpoint {endpoint!r} is not {proved!r}, which its sender proved to be"
        objection = self._context.intake.identity_objection(endpoint, proved) if endpoint else ""
        return endpoint, endpoint, objection or self._replaces(endpoint, proved)

    def _replaces(self, endpoint: str, proved: str) -> str:
        """Why a peer may not stand in place of the registration under its endpoint name."""
        former = self._registrations.by_endpoint(endpoint)
        if former is None or former.registration.proved in ("", proved):
            return ""
        return f"endpoint {endpoint!r} is registered by {former.registration.proved!r}"
