"""How an update of a device goes about its work: it asks, waits, tries again and ends. What it asks is `update`'s."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from msgspec.structs import replace

from iotgw.core.ports.firmware import Changed, Phase, UpdateOrder, UpdateState
from iotgw.datasources.coap.port import CoapPort
from iotgw.datasources.lwm2m.device import Lwm2mDevice
from iotgw.datasources.lwm2m.images import ImageBytes, Offers
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import Message
from iotgw.wire.coap.pending import PendingRequest, Unanswered
from iotgw.wire.coap.refusals import is_final
from iotgw.wire.lwm2m.node import Node
from iotgw.wire.lwm2m.operations import Operation
from iotgw.wire.lwm2m.paths import Path
from iotgw.wire.lwm2m.updates import TARGETS

FIRST, LONGEST = 2.0, 30.0
"""Seconds between two looks at a device, which double from the first to the longest."""
AGAIN, LONG = 10.0, 600.0
"""Seconds before the second try; they double with each further one, up to the longest."""
MOST_REASON = 200

Response = Message | Unanswered
Values = Mapping[Path, object]


class Reaches(Protocol):
    """How devices are reached, and what holds for all updates of a datasource. Times are seconds."""

    offers: Offers
    download_time: float
    install_time: float

    def device(self, name: str) -> Lwm2mDevice | None:
        """The registered device of this name."""

    def listens(self, device: Lwm2mDevice) -> bool:
        """Whether it can be sent something now."""

    def may_transfer(self) -> bool:
        """Whether another image may be on its way."""

    def address(self, scheme: str, link: str) -> str:
        """Where a device fetches an image by this scheme; empty where the settings have no such address."""

    def ask(
        self,
        device: Lwm2mDevice,
        operation: Operation,
        done: Callable[[Response], None],
        body: ImageBytes | None = None,
    ) -> PendingRequest:
        """Ask a device something; ``body`` is what is written in blocks."""

    def values(self, device: Lwm2mDevice, base: Path, response: Message) -> list[Node]:
        """The values in a response."""

    def soon(self, update: UpdateWork) -> None:
        """Have it look at its device in the next turn."""

    def seconds(self) -> float:
        """Gateway time."""

    def left(self, update: UpdateWork) -> None:
        """Nothing more happens to it."""


class UpdateWork:
    """What an update has under way. ``owner`` reaches its device.

    Many methods: each way in which a step goes on or ends is one.
    """

    def __init__(self, owner: Reaches, order: UpdateOrder, state: UpdateState, changed: Changed) -> None:
        self.owner = owner
        self.order = order
        self.object = TARGETS[order.target]
        self.state = state
        self.is_closed = False
        self.is_asking = False
        self.since = owner.seconds()
        self.due = 0.0
        self.pause = FIRST
        self._changed = changed
        self._link = ""
        self._port: CoapPort | None = None
        self._call: PendingRequest | None = None
        self._content: ImageBytes | None = None
        self._moved = 0
        self.offer()

    def look(self) -> None:
        """Do what is due."""
        raise NotImplementedError

    def leave(self) -> None:
        """See `IDeviceUpdate.leave`."""
        if not self.is_closed:
            self.is_closed = True
            self.let_go()
            self.owner.offers.remove(self._link)
            self.owner.left(self)

    @property
    def base(self) -> Path:
        """The path of the instance that it is about."""
        return self.object.at(self.order.instance)

    @property
    def is_transferring(self) -> bool:
        """Whether its image is on its way."""
        return self.state.phase in ("transferring", "downloading")

    @property
    def waited(self) -> int:
        """Seconds since its phase began, or its device came back."""
        return round(self.owner.seconds() - self.since)

    # --- the image

    def send_image(self, device: Lwm2mDevice, path: Path, done: Callable[[Response], None]) -> None:
        """Write the image block by block. Raises OSError where it can't be read."""
        self._content = ImageBytes(self.order.image)
        self._port, self._moved = device.port, 0
        operation = Operation("write", path, values=((path, ""),), form=n.OCTET_STREAM)
        self._call = self.ask(device, operation, done, self._content)

    def follow(self, device: Lwm2mDevice, now: float) -> None:
        """A device that takes block after block is awake."""
        if self._call is not None and self._call.progress != self._moved:
            self._moved = self._call.progress
            device.heard = now
            self.become(sent=self._moved)

    def offer(self) -> None:
        """What it was told to fetch can be fetched, in another process too."""
        if self.state.link and not self.state.is_over:
            self._link = self.state.link
            try:
                self.owner.offers.add(self._link, self.order.image, self._fetched)
            except OSError as error:
                self.end("failed", f"the image can't be read: {error.strerror}")

    def _fetched(self, end: int) -> None:
        if end > self.state.sent:
            self.become(sent=end)

    def let_go(self) -> None:
        """Send no more of the image."""
        call, self._call = self._call, None
        if call is not None and not call.is_over and self._port is not None:
            self._port.endpoint.client.cancel(call)
        content, self._content = self._content, None
        if content is not None:
            content.close()

    # --- how it goes on

    def ask(
        self,
        device: Lwm2mDevice,
        operation: Operation,
        done: Callable[[Response], None],
        body: ImageBytes | None = None,
    ) -> PendingRequest:
        """Ask the device something; ``done`` isn't called once nobody works at it any more."""
        self.is_asking = True

        def answered(response: Response) -> None:
            self.is_asking = False
            if not self.is_closed:
                done(response)

        return self.owner.ask(device, operation, answered, body)

    def do(self, device: Lwm2mDevice, operation: Operation, what: str) -> None:
        """Have the device do something, and then look at it anew from the beginning."""

        def done(response: Response) -> None:
            if isinstance(response, Message) and response.code >= n.BAD_REQUEST:
                self.refused(what, response)
                return
            self.become(phase="waiting")
            self.soon()

        self.ask(device, operation, done)

    def refused(self, what: str, response: Message) -> None:
        """The device refused something: for good, or for now."""
        reason = f"{what}: the device answered {n.dotted(response.code)}"
        if response.payload and response.options.get_uint(n.CONTENT_FORMAT) in (None, n.TEXT_PLAIN):
            reason += f" {response.payload.decode('utf-8', 'replace')[:MOST_REASON]}"
        if is_final(response.code):
            self.end("failed", reason)
        else:
            self.again(reason)

    def failed_with(self, code: int) -> None:
        """The device says that it has failed."""
        reason = f"the device says: {self.object.said(code)}"
        if code in self.object.passing:
            self.again(reason)
        else:
            self.end("failed", reason)

    def again(self, reason: str) -> None:
        """Begin anew some time later, unless that was tried often enough."""
        if self.state.tries > self.order.retries:
            self.end("failed", reason)
            return
        self.let_go()
        phase: Phase = "transferring" if self.state.phase == "transferring" else "waiting"
        self.become(phase=phase, reason=reason)
        self.due = self.owner.seconds() + min(LONG, AGAIN * 2 ** (self.state.tries - 1))

    def wait(self, reason: str) -> None:
        """Look again later; ``reason`` is why."""
        self.become(reason=reason)
        self.later()

    def later(self) -> None:
        """Look again later."""
        self.due = self.owner.seconds() + self.pause
        self.pause = min(LONGEST, self.pause * 2)

    def soon(self) -> None:
        """Look again at once."""
        self.due, self.pause = 0.0, FIRST
        self.owner.soon(self)

    def become(self, **changes: object) -> None:
        """Take another state, and tell it."""
        if self.is_closed:
            return
        after = replace(self.state, **changes)
        if after == self.state:
            return
        if after.phase != self.state.phase:
            self.since = self.owner.seconds()
        self.state = after
        self._changed(after)

    def end(self, phase: Phase, reason: str) -> None:
        """Nothing more happens to the device."""
        self.become(phase=phase, reason=reason, link="")
        self.leave()
