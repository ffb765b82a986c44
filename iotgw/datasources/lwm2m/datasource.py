"""LwM2M devices: they register, are observed, read and written, and send by themselves.

What a device tells is stored as JSON of one form (`shaping`), whatever the format in which it came. A notification is
acknowledged when it is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from msgspec import structs
from twisted.internet.defer import Deferred, gatherResults, succeed
from zope.interface import implementer

from iotgw.core.model import STORED, Answer, Downlink, Metadata
from iotgw.core.pem import Files
from iotgw.core.ports.datasources import (
    DatasourceContext,
    IHasSessions,
    IKeepsDownlinks,
)
from iotgw.core.ports.firmware import Changed, IUpdatesDevices, UpdateOrder, UpdateState
from iotgw.datasources.coap.datasource import describe_udp, describe_unproved
from iotgw.datasources.coap.ports import CoapPorts, CoapShare
from iotgw.datasources.coap.secure_port import CoapsPort, describe_session
from iotgw.datasources.http.mounts import HttpMounts
from iotgw.datasources.lwm2m import shaping
from iotgw.datasources.lwm2m.asking import Asking
from iotgw.datasources.lwm2m.device import Lwm2mDevice
from iotgw.datasources.lwm2m.door import Door
from iotgw.datasources.lwm2m.images import PLACE, ImageMount, ImageResource
from iotgw.datasources.lwm2m.insisting import Insisting
from iotgw.datasources.lwm2m.observing import Observing
from iotgw.datasources.lwm2m.profile import Lwm2mProfile, ProfilePlan
from iotgw.datasources.lwm2m.registrations import Registrations
from iotgw.datasources.lwm2m.settings import Lwm2mSettings
from iotgw.datasources.lwm2m.update import DeviceUpdate
from iotgw.datasources.lwm2m.updating import Updating
from iotgw.datasources.sampling import SampledEvents
from iotgw.dtls.session import DtlsSession
from iotgw.dtls.settings import DtlsSettings
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import Message
from iotgw.wire.coap.site import Path as CoapSegments
from iotgw.wire.coap.site import parse_path
from iotgw.wire.lwm2m import paths
from iotgw.wire.lwm2m.models import bundled
from iotgw.wire.lwm2m.operations import Operation
from iotgw.wire.lwm2m.paths import ROOT, Path

MOST_SHOWN = 1000
"""Registrations that are listed at once."""


@implementer(IKeepsDownlinks, IHasSessions, IUpdatesDevices)
class Lwm2mDatasource:
    """A server of LwM2M, on the ports of CoAP.

    Many methods: those of the ports, and what registrations, observations, updates and doors tell.
    """

    keeps_downlinks = True
    """Items may be sent at any time: those of a device that sleeps go back and leave when it is awake."""
    can_push = True

    def __init__(self, settings: Lwm2mSettings, context: DatasourceContext) -> None:
        self.settings = settings
        self.context = context
        self._shares: list[CoapShare] = []
        self._path: CoapSegments = parse_path(settings.path)
        models = bundled().with_these(settings.models()) if settings.objects else bundled()
        self._plans = [ProfilePlan(profile, models) for profile in (*settings.profiles, Lwm2mProfile())]
        self._intake = context.intake
        self._is_mixed = settings.security_mode == "MIXED"
        if settings.security_mode != "NO_SECURE":
            self._intake.proves = True
        policy = structs.replace(settings.coap.policy, proves=True)
        self.registrations = Registrations(self, settings, context)
        self._observing = Observing(self, policy)
        self._asking = Asking(
            self, self._observing, context.intake, context.reactor, policy, settings.awake_time
        )
        self._updating = Updating(
            self, self.registrations, self._asking, settings.firmware, context.reactor, policy, self._image_at
        )
        self._insisting = Insisting(context.intake, context.reactor)
        self._unmount: Callable[[], None] = _nothing
        self._troubles = SampledEvents(context.reactor, context.intake, "lwm2m.trouble")
        self._sent = 0

    # --- IDatasource

    def start(self) -> Deferred[None]:
        """See `IDatasource.start`: the registrations of the process before are there again, and so are their observations."""
        is_secure = self.settings.security_mode != "NO_SECURE"
        reading = self.context.read_files(self.settings.dtls.files if is_secure else [])
        return reading.addCallback(self._open_all)

    def _open_all(self, files: Files) -> Deferred[None]:
        mode = self.settings.security_mode
        loading = self.registrations.load()

        def loaded(_: None) -> None:
            try:
                if mode != "DTLS":
                    self._open(None, {})
                if mode != "NO_SECURE":
                    self._open(self.settings.dtls, files)
            except Exception:
                self.stop()
                raise
            if self.settings.firmware.http_url:
                mounts = self.context.shared(HttpMounts)
                self._unmount = mounts.add((PLACE, self.context.id), ImageMount(self._updating.offers))
            self._resume()

        return loading.addCallback(loaded)

    def _open(self, dtls: DtlsSettings | None, files: Files) -> None:
        settings = self.settings
        number = settings.port if dtls is None else settings.secure_port
        share = self.context.shared(CoapPorts).open(self.context, settings.interface, number, dtls, files)
        self._shares.append(share)
        door = Door(self, self.registrations, self._asking, self.context, settings, share.port)
        resources = door.resources(self._path)
        if settings.firmware.host:
            resources[(*self._path, PLACE)] = ImageResource(self._updating.offers, settings.coap.policy)
        share.serve(resources, settings.coap.transmission, resets=settings.reset_notifications)

    def _resume(self) -> None:
        """Go on with devices at plain addresses; those behind DTLS come back with their next session."""
        plain = next((share.port for share in self._shares if not isinstance(share.port, CoapsPort)), None)
        if plain is None:
            return
        stale: list[Lwm2mDevice] = []
        for device in [*self.registrations]:
            registration = device.registration
            if registration.proved or not registration.host:
                continue
            device.port = plain
            remote = plain.peer_of({"remoteIp": registration.host, "remotePort": registration.port})
            self.registrations.moved(device, remote)
            device.is_fresh = True
            self._observing.resume(device)
            if not self._asking.is_all_observed(device):
                device.is_fresh = False
                if not device.sleeps:
                    stale.append(device)
        plain.sent()
        self._asking.refresh_slowly(stale)
        self._intake.wake_downlinks()

    def stop(self) -> Deferred[Any]:
        """See `IDatasource.stop`."""
        self.registrations.stop()
        self._asking.stop()
        self._updating.stop()
        self._insisting.stop()
        self._unmount()
        self._unmount = _nothing
        for device in self.registrations:
            for item in [*device.items.values()]:
                self._intake.downlink_lost(item, "the datasource was closed")
            device.items.clear()
            device.steps = None
            self._observing.forget(device)
        shares, self._shares = self._shares, []
        if not shares:
            return succeed(None)
        return gatherResults([share.close() for share in shares], consumeErrors=True)

    def status(self) -> dict[str, Any]:
        """See `IDatasource.status`."""
        if not self._shares:
            return {"state": "stopped"}
        addresses = []
        found: dict[str, Any] = {"state": "listening"}
        for share in self._shares:
            scheme = "coaps" if isinstance(share.port, CoapsPort) else "coap"
            host, number = share.port.address[:2]
            addresses.append(f"{scheme}: udp {host}:{number}, /{'/'.join((*self._path, 'rd'))}")
            found[f"{scheme}Port"] = share.port.statistics()
        return {
            **found,
            "address": "; ".join(addresses),
            "registrations": len(self.registrations),
            "observations": sum(len(device.watches) for device in self.registrations),
            "notifications": self._observing.notifications,
            "sent": self._sent,
            "lost": self._insisting.lost,
            "updates": len(self._updating),
        }

    # --- registrations, as sessions

    def sessions(self) -> list[dict[str, Any]]:
        """See `IHasSessions.sessions`: the registrations, a thousand at most."""
        now = self.context.reactor.seconds()
        found: list[dict[str, Any]] = []
        for device in self.registrations:
            if len(found) >= MOST_SHOWN:
                break
            listens = self._asking.window(device)
            found.append(
                {
                    **device.registration.view(),
                    "expiresIn": round(max(0.0, device.ends - now), 1),
                    "listens": "always" if listens == float("inf") else round(listens, 1),
                    "observed": sorted(device.watches),
                }
            )
        return found

    def end(self, session: str) -> bool:
        """See `IHasSessions.end`: a device whose registration was ended registers again."""
        device = self.registrations.by_id(session)
        if device is None:
            return False
        self.registrations.end(device, "ended", _nobody)
        return True

    # --- downlinks

    def push(self, metadata: Metadata, downlinks: tuple[Downlink, ...]) -> None:
        """See `IPushes.push`: by the registration of the device, wherever it is now."""
        device = self.registrations.by_endpoint(str(metadata.get("endpoint", "")))
        for item in downlinks:
            if device is None:
                self._intake.downlink_returned(item)  # it waits until the device registers
            else:
                self._asking.carry_out(device, item)

    # --- updates

    def has(self, device: str) -> bool:
        """See `IUpdatesDevices.has`."""
        return self.registrations.named(device) is not None

    def update(self, order: UpdateOrder, state: UpdateState, changed: Changed) -> DeviceUpdate:
        """See `IUpdatesDevices.update`."""
        return self._updating.begin(order, state, changed)

    def _image_at(self, scheme: str, link: str) -> str:
        """Where an image can be fetched; empty where the settings name no such place."""
        firmware = self.settings.firmware
        if scheme in ("http", "https"):
            is_ours = firmware.http_url.startswith(f"{scheme}://")
            return f"{firmware.http_url.rstrip('/')}/{PLACE}/{self.context.id}/{link}" if is_ours else ""
        for share in self._shares:
            if firmware.host and isinstance(share.port, CoapsPort) == (scheme == "coaps"):
                host = f"[{firmware.host}]" if ":" in firmware.host else firmware.host
                place = "/".join((*self._path, PLACE, link))
                return f"{scheme}://{host}:{share.port.address[1]}/{place}"
        return ""

    # --- RegistrationOwner

    def plan_of(self, endpoint: str) -> ProfilePlan:
        """See `RegistrationOwner.plan_of`."""
        return next(plan for plan in self._plans if plan.fits(endpoint))

    def happened(self, device: Lwm2mDevice, kind: str, answer: Callable[[Answer], None]) -> None:
        """See `RegistrationOwner.happened`."""
        registration = device.registration
        body = shaping.body(registration, kind)
        body["ts"] = self.context.date_ms()
        body["attributes"] = {
            "lwm2mRegistered": kind in ("register", "update"),
            "lwm2mVersion": registration.version,
            "lwm2mBinding": registration.binding,
            "lwm2mQueueMode": registration.queue,
            "lwm2mLifetime": registration.lifetime,
            "lwm2mObjects": ",".join(map(str, registration.objects.instances)),
        }
        payload, facts = shaping.encode(body), self._facts(device, kind)
        if kind in ("expired", "ended"):  # no device sends it again
            self._insisting.receive(payload, facts, body["ts"], lambda: answer(STORED))
        else:
            self._intake.receive(payload, facts, answer, 0, listens=False)

    def gone(self, device: Lwm2mDevice) -> None:
        """See `RegistrationOwner.gone`."""
        device.steps = None
        for item in [*device.items.values()]:
            self._intake.downlink_lost(item, "the registration has ended")
        device.items.clear()
        self._observing.forget(device)

    # --- Tells

    def told(
        self, device: Lwm2mDevice, kind: str, base: Path, response: Message, answer: Callable[[Answer], None]
    ) -> None:
        """See `Tells.told`."""
        self._intake.receive(*self._told(device, kind, base, response), answer, 0, listens=False)

    def told_once(
        self,
        device: Lwm2mDevice,
        kind: str,
        base: Path,
        response: Message,
        stored: Callable[[], None],
        more: shaping.Body | None = None,
    ) -> None:
        """See `Tells.told_once`."""
        payload, metadata = self._told(device, kind, base, response, more)
        self._insisting.receive(payload, metadata, self.context.date_ms(), stored)

    def _told(
        self, device: Lwm2mDevice, kind: str, base: Path, response: Message, more: shaping.Body | None = None
    ) -> tuple[bytes, Metadata]:
        """What a device told, as a message."""
        metadata = self._facts(device, kind)
        form = response.options.get_uint(n.CONTENT_FORMAT)
        if form is not None:
            metadata["contentFormat"] = form
        if base != ROOT:
            metadata["path"] = paths.text(base)
        now = self.context.date_ms() / 1000
        body = shaping.told(device.registration, device.plan, kind, base, response, now, more or {})
        return shaping.encode(body), metadata

    def replied(self, device: Lwm2mDevice, item: Downlink, operation: Operation, response: Message) -> None:
        """See `Tells.replied`."""
        base = ROOT if operation.is_composite else operation.path
        more = {"id": item.id, "operation": operation.kind, "code": n.dotted(response.code)}
        if operation.kind not in ("observe", "observe-composite") or response.code >= n.BAD_REQUEST:
            self.told_once(device, "response", base, response, _nothing, more)

    def was_heard(self, device: Lwm2mDevice) -> None:
        """See `Tells.was_heard`."""
        device.heard = self.context.reactor.seconds()
        has_slept, device.is_asleep = device.is_asleep, False
        if (device.sleeps or has_slept) and (device.steps is not None or not device.items):
            self._asking.go_on(device)

    def keep(self, device: Lwm2mDevice) -> None:
        """See `Tells.keep`."""
        self.registrations.keep(device)

    def trouble(self, device: Lwm2mDevice, type: str, message: str) -> None:
        """See `Tells.trouble`."""
        self._troubles.note(
            f"{device.registration.endpoint} {type}", f"{device.registration.endpoint}: {message}"
        )

    # --- Door

    def sent(self, device: Lwm2mDevice, request: Message, answer: Callable[[Answer], None]) -> str:
        """Take what a device sends by itself; returns why it can't be read, else hands it in."""
        now = self.context.date_ms() / 1000
        objects = device.registration.objects
        form = request.options.get_uint(n.CONTENT_FORMAT)
        nodes, problem = shaping.read(form, request.payload, ROOT, device.plan, objects, now)
        if problem:
            self._intake.reject(request.payload, self._facts(device, "send"), problem)
            return problem
        self._sent += 1
        body = shaping.body(device.registration, "send")
        shaping.add_values(body, nodes, device.plan, objects, now)
        metadata = {**self._facts(device, "send"), "contentFormat": form}
        self._intake.receive(shaping.encode(body), metadata, answer, 0, listens=False)
        return ""

    def _facts(self, device: Lwm2mDevice, kind: str) -> Metadata:
        """The metadata of a message of a device."""
        registration = device.registration
        found: Metadata = {
            "integrationName": self.context.name,
            "endpoint": registration.endpoint,
            "deviceName": registration.device,
            "deviceType": device.plan.profile.device_type or "lwm2m",
            "registrationId": registration.id,
            "lwm2mVersion": registration.version,
            "kind": kind,
            "identity": registration.device,
        }
        remote: Hashable = device.remote
        if isinstance(remote, DtlsSession):
            found.update(describe_session(remote))
        elif remote is not None:
            found.update(describe_unproved(remote) if self._is_mixed else describe_udp(remote))
        elif (
            registration.proved
        ):  # it expired while nobody knew where it was; its proof was that of the registration
            found.update(identity=registration.proved, identityType=registration.proof)
        found["protocol"] = "lwm2m"
        return found


def _nobody(answer: Answer) -> None:
    """Nobody waits for the answer."""


def _nothing() -> None:
    """Nothing is to be done."""
