"""The updates of a datasource's devices that are under way: each looks at its device once a second."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import structs
from twisted.internet.interfaces import IDelayedCall

from iotgw.core.errors import Conflict
from iotgw.core.ports.firmware import Changed, UpdateOrder, UpdateState
from iotgw.core.ports.reactor import IReactor
from iotgw.datasources.lwm2m import shaping
from iotgw.datasources.lwm2m.asking import Asking
from iotgw.datasources.lwm2m.device import Lwm2mDevice
from iotgw.datasources.lwm2m.images import ImageBytes, Offers
from iotgw.datasources.lwm2m.observing import Tells
from iotgw.datasources.lwm2m.registrations import Registrations
from iotgw.datasources.lwm2m.settings import FirmwareSettings
from iotgw.datasources.lwm2m.update import DeviceUpdate
from iotgw.datasources.lwm2m.update_work import Response, UpdateWork
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import Message
from iotgw.wire.coap.pending import PendingRequest, Unanswered
from iotgw.wire.coap.timing import Policy
from iotgw.wire.lwm2m.node import Node
from iotgw.wire.lwm2m.operations import Operation, request
from iotgw.wire.lwm2m.paths import Path

TICK = 1.0
"""Seconds between two looks."""
MORE_TRIES = 2
"""Retransmissions of a block beside those of other requests: an image is a thousand blocks, and must not fail of one."""
PATIENCE = 300.0
"""Seconds that a device may take over an image that it has as a whole."""


class Updating:
    """A `Reaches` for the devices of a datasource. ``address(scheme, link)`` is where an image can be fetched."""

    def __init__(
        self,
        owner: Tells,
        registrations: Registrations,
        asking: Asking,
        settings: FirmwareSettings,
        reactor: IReactor,
        policy: Policy,
        address: Callable[[str, str], str],
    ) -> None:
        self.offers = Offers()
        self.download_time = settings.download_time
        self.install_time = settings.install_time
        self.address = address
        self._owner = owner
        self._registrations = registrations
        self._asking = asking
        self._at_once = settings.at_once
        self._reactor = reactor
        self._policy = policy
        timing = structs.replace(
            policy.timing, max_retransmit=min(20, policy.timing.max_retransmit + MORE_TRIES)
        )
        patience = max(PATIENCE, policy.response_timeout)
        self._patient = structs.replace(policy, timing=timing, response_timeout=patience)
        self._updates: dict[str, DeviceUpdate] = {}
        self._call: IDelayedCall | None = None

    def __len__(self) -> int:
        return len(self._updates)

    def begin(self, order: UpdateOrder, state: UpdateState, changed: Changed) -> DeviceUpdate:
        """See `IUpdatesDevices.update`."""
        if state.device in self._updates:
            raise Conflict("another update of the device is under way")
        update = DeviceUpdate(self, order, state, changed)
        if not update.is_closed:
            self._updates[state.device] = update
            if self._call is None:
                self._call = self._reactor.callLater(0, self._tick)
        return update

    def stop(self) -> None:
        """Work at none any more."""
        for update in [*self._updates.values()]:
            update.leave()
        self.offers.clear()
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _tick(self) -> None:
        self._call = self._reactor.callLater(TICK, self._tick) if self._updates else None
        for update in [*self._updates.values()]:
            self._look(update)

    def _look(self, update: UpdateWork) -> None:
        if not update.is_closed:
            update.look()

    # --- Reaches

    def device(self, name: str) -> Lwm2mDevice | None:
        """See `Reaches.device`."""
        return self._registrations.named(name)

    def listens(self, device: Lwm2mDevice) -> bool:
        """See `Reaches.listens`."""
        return device.port is not None and self._asking.window(device) > 0

    def may_transfer(self) -> bool:
        """See `Reaches.may_transfer`."""
        return sum(update.is_transferring for update in self._updates.values()) < self._at_once

    def ask(
        self,
        device: Lwm2mDevice,
        operation: Operation,
        done: Callable[[Response], None],
        body: ImageBytes | None = None,
    ) -> PendingRequest:
        """See `Reaches.ask`."""
        assert device.port is not None and device.remote is not None
        types = shaping.typing(device.plan, device.registration.objects)
        message = request(operation, device.asked, types)
        window = self._asking.window(device)
        within = 0.0 if body is not None or window == float("inf") else window

        def answered(response: Message) -> None:
            self._owner.was_heard(device)
            done(response)

        def failed(unanswered: Unanswered) -> None:
            if unanswered.was_sent and unanswered.first is None:
                device.is_asleep = device.is_asleep or device.sleeps
            done(unanswered)

        policy = self._policy if body is None else self._patient
        endpoint = device.port.endpoint
        call = endpoint.request(message, device.remote, answered, failed, policy, None, within, body)
        device.port.sent()
        return call

    def values(self, device: Lwm2mDevice, base: Path, response: Message) -> list[Node]:
        """See `Reaches.values`."""
        form = response.options.get_uint(n.CONTENT_FORMAT)
        nodes, _ = shaping.read(form, response.payload, base, device.plan, device.registration.objects, 0.0)
        return nodes

    def soon(self, update: UpdateWork) -> None:
        """See `Reaches.soon`."""
        self._reactor.callLater(0, self._look, update)

    def seconds(self) -> float:
        """See `Reaches.seconds`."""
        return self._reactor.seconds()

    def left(self, update: UpdateWork) -> None:
        """See `Reaches.left`."""
        if self._updates.get(update.state.device) is update:
            del self._updates[update.state.device]
