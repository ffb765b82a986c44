"""The observations of devices: each notification is an uplink, and one that ends is made anew with the next update."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Protocol

from iotgw.core.model import Answer, Downlink, Status
from iotgw.datasources.lwm2m.device import Lwm2mDevice, key_of
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import Message
from iotgw.wire.coap.observe import REGISTER
from iotgw.wire.coap.pending import Unanswered
from iotgw.wire.coap.refusals import is_final
from iotgw.wire.coap.timing import Policy
from iotgw.wire.coap.watching import Arrival, Ended
from iotgw.wire.lwm2m import paths
from iotgw.wire.lwm2m.operations import Capabilities, Operation, request
from iotgw.wire.lwm2m.paths import ROOT, Path


class Tells(Protocol):
    """What is told of a device."""

    def told(
        self,
        device: Lwm2mDevice,
        kind: str,
        base: Path,
        response: Message,
        answer: Callable[[Answer], None],
    ) -> None:
        """Hand in what a device told, and sends again unless it is taken."""

    def told_once(
        self, device: Lwm2mDevice, kind: str, base: Path, response: Message, stored: Callable[[], None]
    ) -> None:
        """Hand in what a device told in a response, which it doesn't send again; ``stored`` is called when that is durable."""

    def replied(self, device: Lwm2mDevice, item: Downlink, operation: Operation, response: Message) -> None:
        """A device has answered a user's request."""

    def was_heard(self, device: Lwm2mDevice) -> None:
        """A message of the device came."""

    def keep(self, device: Lwm2mDevice) -> None:
        """Its registration has changed: keep that over a restart."""

    def trouble(self, device: Lwm2mDevice, type: str, message: str) -> None:
        """Record what went wrong, now and then."""


class PathWatcher:
    """Who observes some paths of a device."""

    __slots__ = ("_device", "_owner", "paths")

    def __init__(self, owner: Observing, device: Lwm2mDevice, paths: tuple[Path, ...]) -> None:
        self._owner = owner
        self._device = device
        self.paths = paths

    def notified(self, arrival: Arrival) -> None:
        """See `Watcher.notified`: it is acknowledged when it is stored."""
        self._owner.notified(self._device, self.paths, arrival)

    def ended(self, end: Ended) -> None:
        """See `Watcher.ended`."""
        self._owner.ended(self._device, self.paths, end)


class Observing:
    """Begins observations, hands up notifications, and learns of the ends."""

    def __init__(self, owner: Tells, policy: Policy) -> None:
        self._owner = owner
        self._policy = policy
        self.notifications = 0

    def begin(
        self,
        device: Lwm2mDevice,
        asked: tuple[Path, ...],
        within: float,
        done: Callable[[Message | Unanswered], None],
    ) -> None:
        """Observe paths of a device; one path by GET, several by FETCH. The first values are told as any others.
        ``done`` gets the response."""
        assert device.port is not None and device.remote is not None
        message = self.request(device, asked)
        key = key_of(asked)
        former = device.registration.tokens.get(key, "")

        def answered(response: Message) -> None:
            self._owner.was_heard(device)
            if watch.is_open:
                device.watches[key] = watch
            if response.code < n.BAD_REQUEST:
                base = asked[0] if len(asked) == 1 else ROOT
                self._owner.told_once(device, "notify", base, response, stored)
            elif is_final(response.code):
                device.registration.tokens.pop(key, None)
            done(response)

        def stored() -> None:
            """Only now it goes on over a restart: before, its first value would be lost."""
            tokens = device.registration.tokens
            if device.watches.get(key) is watch and watch.is_open and tokens.get(key) != watch.token.hex():
                tokens[key] = watch.token.hex()
                self._owner.keep(device)

        watch = device.port.endpoint.observe(
            message,
            device.remote,
            answered,
            done,
            PathWatcher(self, device, asked),
            self._policy,
            within=within,
            token=bytes.fromhex(former),
        )
        device.port.sent()

    def resume(self, device: Lwm2mDevice) -> None:
        """Go on with the observations that the process before had; the device doesn't notice."""
        assert device.port is not None and device.remote is not None
        for key, token in device.registration.tokens.items():
            asked = _paths(key)
            device.watches[key] = device.port.endpoint.client.adopt(
                self.request(device, asked),
                device.remote,
                bytes.fromhex(token),
                PathWatcher(self, device, asked),
                self._policy,
            )

    def request(self, device: Lwm2mDevice, asked: tuple[Path, ...]) -> Message:
        """The request that observes paths."""
        objects = device.registration.objects
        return _request(asked, tuple(objects.formats), device.registration.version, objects.root)

    def forget(self, device: Lwm2mDevice) -> None:
        """Take no more notifications from where the device was; the tokens stay."""
        watches, device.watches = device.watches, {}
        for watch in watches.values():
            if device.port is not None:
                device.port.endpoint.client.cancel(watch)

    def notified(self, device: Lwm2mDevice, asked: tuple[Path, ...], arrival: Arrival) -> None:
        """See `PathWatcher.notified`."""
        self.notifications += 1
        self._owner.was_heard(device)

        def answer(answer: Answer) -> None:
            if answer.status in (Status.BUSY, Status.TOO_LARGE):
                arrival.refused()
            else:
                arrival.stored()

        self._owner.told(device, "notify", asked[0] if len(asked) == 1 else ROOT, arrival.response, answer)

    def ended(self, device: Lwm2mDevice, asked: tuple[Path, ...], end: Ended) -> None:
        """See `PathWatcher.ended`. What ended by itself is begun anew with the device's next update."""
        key = key_of(asked)
        if device.watches.get(key) is None or end.kind == "cancelled":
            return
        del device.watches[key]
        if end.kind == "deregistered":
            device.registration.tokens.pop(key, None)
            self._owner.keep(device)
            return
        device.is_fresh = False
        if end.kind != "gone":
            self._owner.trouble(device, "observation-ended", f"{key}: {end.kind} {end.reason}".strip())


@lru_cache(maxsize=4096)
def _paths(key: str) -> tuple[Path, ...]:
    """What is observed, of its text (`key_of`)."""
    return tuple(paths.parse(text) for text in key.split(" "))


@lru_cache(maxsize=4096)
def _request(asked: tuple[Path, ...], understands: tuple[int, ...], version: str, root: str) -> Message:
    """Devices of one type are observed by the same request, which is kept for as long as they are observed."""
    one = len(asked) == 1 and asked[0] != ROOT  # which only a composite operation can name
    operation = Operation("observe", asked[0]) if one else Operation("observe-composite", paths=asked)
    made = request(operation, Capabilities(understands, version, root))
    return Message(made.code, made.payload, made.options.replaced((n.OBSERVE, REGISTER)))
