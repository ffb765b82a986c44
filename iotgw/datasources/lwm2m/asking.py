"""Asks devices: what their profile names, after a registration and whenever their address has changed, and then what users have
queued for them. One thing at a time, and only while a device listens."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from msgspec import structs
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from iotgw.core import plain_json
from iotgw.core.model import Downlink, Metadata
from iotgw.core.ports.intake import IIntake
from iotgw.core.ports.reactor import IReactor
from iotgw.datasources.coap.push import described
from iotgw.datasources.lwm2m import shaping
from iotgw.datasources.lwm2m.device import Lwm2mDevice, Step, key_of
from iotgw.datasources.lwm2m.observing import Observing, Tells
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import Message
from iotgw.wire.coap.pending import Unanswered
from iotgw.wire.coap.proving import UNPROVED
from iotgw.wire.coap.refusals import is_final
from iotgw.wire.coap.timing import Policy
from iotgw.wire.lwm2m import commands, paths
from iotgw.wire.lwm2m.operations import Operation, request
from iotgw.wire.lwm2m.paths import ROOT, Path
from iotgw.wire.lwm2m.values import CodecError

Done = Callable[[bool], None]
AT_ONCE = 50
"""Devices that are asked in a second, of many that nobody has heard."""
PATIENCE = 60.0
"""Seconds by which a notification may be late."""
MAX_REASON = 200
"""Characters of a device's diagnostic text in an item's reason."""


class Asking:
    """What a datasource asks its devices. ``awake_time`` is in seconds.

    Many methods: a request has its beginning, its answer and its end, for what profiles name and for what users queue.
    """

    log = Logger()

    def __init__(
        self,
        owner: Tells,
        observing: Observing,
        intake: IIntake,
        reactor: IReactor,
        policy: Policy,
        awake_time: float,
    ) -> None:
        self._owner = owner
        self._observing = observing
        self._intake = intake
        self._reactor = reactor
        self._policy = policy
        self._awake_time = awake_time
        self._call: IDelayedCall | None = None

    # --- what the profile names

    def refresh(self, device: Lwm2mDevice) -> None:
        """Ask a device for all that its profile names; what was under way is begun again."""
        device.is_fresh = True
        device.asked_at = self._reactor.seconds()
        device.is_asked = False
        device.steps = deque(self._steps(device))
        self._advance(device)

    def refresh_slowly(self, devices: list[Lwm2mDevice]) -> None:
        """Do so for many devices that haven't been heard, some at a time."""
        now, later = devices[:AT_ONCE], devices[AT_ONCE:]
        for device in now:
            if not device.is_fresh and device.remote is not None:
                self.refresh(device)
        self._call = self._reactor.callLater(1.0, self.refresh_slowly, later) if later else None

    def stop(self) -> None:
        """Ask nobody any more."""
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None

    def is_all_observed(self, device: Lwm2mDevice) -> bool:
        """Whether all is observed of a device that its profile names, under its conditions."""
        plan = device.plan
        if device.registration.conditions != plan.mark:
            return False
        groups = plan.groups(plan.to_observe(device.registration.objects))
        return all(
            key_of(group) in device.watches or all(key_of((path,)) in device.watches for path in group)
            for group in groups
        )

    def is_overdue(self, device: Lwm2mDevice) -> bool:
        """Whether a device has not notified for longer than its profile lets it be silent (``pmax``): it may have lost its observations
        without a word, as some do that only update after a fault of the network (zephyr#58278)."""
        now = self._reactor.seconds()
        for path, conditions in device.plan.conditions.items():
            watch, longest = device.watches.get(key_of((path,))), conditions.get("pmax", 0)
            if watch is not None and longest and now - max(watch.heard, device.asked_at) > longest + PATIENCE:
                return True
        return False

    def leave(self, device: Lwm2mDevice) -> None:
        """A device has another address: nothing more is sent to the one that it had."""
        device.steps = None
        self._observing.forget(device)

    def go_on(self, device: Lwm2mDevice) -> None:
        """A device listens: go on with what is left, then with what is queued."""
        if device.steps is not None:
            self._advance(device)
        else:
            self.take(device)

    def _steps(self, device: Lwm2mDevice) -> Iterator[Step]:
        plan, objects = device.plan, device.registration.objects
        has = objects.instances
        for path, conditions in plan.conditions.items():
            if path[0] in has:
                yield partial(self._ask, device, Operation("write-attributes", path, attributes=conditions))
        for path in plan.reads:
            if path[0] in has:
                yield partial(self._ask, device, Operation("read", path))
        composite = device.registration.version != "1.0"
        for group in plan.groups(plan.to_observe(objects)):
            if composite or len(group) == 1:
                yield partial(self._observe, device, group)
            else:
                yield from (partial(self._observe, device, (path,)) for path in group)

    def _advance(self, device: Lwm2mDevice) -> None:
        steps = device.steps
        if steps is not None and not steps:
            device.steps = None
            self._is_told(device)
            self.take(device)
            return
        if steps is None or device.is_asked or self.window(device) <= 0:
            return
        step = steps[0]
        device.is_asked = True

        def done(is_there: bool) -> None:
            if device.steps is not steps:
                return  # it has begun anew meanwhile
            device.is_asked = False
            if not is_there:
                return  # the rest waits until it is heard again
            if steps and steps[0] is step:
                steps.popleft()
            self._advance(device)

        step(done)

    def _is_told(self, device: Lwm2mDevice) -> None:
        """A device has been given the conditions of its profile: after a restart they need not be written again, unless they are others."""
        if device.registration.conditions != device.plan.mark:
            device.registration = structs.replace(device.registration, conditions=device.plan.mark)
            self._owner.keep(device)

    def _observe(self, device: Lwm2mDevice, group: tuple[Path, ...], done: Done) -> None:
        if key_of(group) in device.watches:
            done(True)
            return

        def answered(response: Message | Unanswered) -> None:
            if isinstance(response, Unanswered):
                done(self._is_there(device, response))
                return
            if response.code >= n.BAD_REQUEST:
                if len(group) > 1 and is_final(response.code) and device.steps is not None:
                    single = [partial(self._observe, device, (path,)) for path in group]
                    device.steps.popleft()
                    device.steps.extendleft(reversed(single))
                else:
                    self._owner.trouble(
                        device,
                        "not-observed",
                        f"{key_of(group)}: the device answered {n.dotted(response.code)}",
                    )
            done(True)

        self._observing.begin(device, group, self._within(device), answered)

    def _ask(self, device: Lwm2mDevice, operation: Operation, done: Done) -> None:
        def answered(response: Message) -> None:
            self._owner.was_heard(device)
            if response.code >= n.BAD_REQUEST:
                text = f"{operation.kind} {paths.text(operation.path)}: the device answered {n.dotted(response.code)}"
                self._owner.trouble(device, "not-taken", text)
            elif operation.kind == "read":
                self._owner.told_once(device, "response", operation.path, response, _nobody)
            done(True)

        def failed(unanswered: Unanswered) -> None:
            done(self._is_there(device, unanswered))

        message = request(operation, device.asked, self._type_of(device))
        self.send(device, message, answered, failed)

    def _is_there(self, device: Lwm2mDevice, unanswered: Unanswered) -> bool:
        """Whether a device that left a request unanswered may be asked something else."""
        is_away = unanswered.was_sent or unanswered.reason == UNPROVED
        if is_away and unanswered.first is None:
            device.is_asleep = True
            return False
        return unanswered.first is not None

    # --- what users have queued

    def take(self, device: Lwm2mDevice) -> None:
        """Send a device the next item of its queue, if it listens and nothing is under way."""
        if device.items or device.steps is not None or self.window(device) <= 0:
            return
        registration = device.registration
        taken = self._intake.downlinks(registration.device, 1, registration.proved)
        taken.addCallback(self._taken, device)
        taken.addErrback(lambda failure: self.log.failure("downlinks could not be taken", failure))

    def _taken(self, items: tuple[Downlink, ...], device: Lwm2mDevice) -> None:
        for item in items:
            self.carry_out(device, item)

    def carry_out(self, device: Lwm2mDevice, item: Downlink) -> None:
        """Send an item to a device, or give it back while it doesn't listen."""
        if self.window(device) <= 0:
            self._intake.downlink_returned(item)
            return
        try:
            operation = commands.operation(item.msg_type, _message(item), device.plan.keys)
            if operation.kind in ("cancel", "cancel-composite"):
                self._cancel(device, item, operation)
                return
            message = request(operation, device.asked, self._type_of(device))
        except CodecError as error:
            self._intake.downlink_refused(item, str(error))
            self._reactor.callLater(0, self.take, device)
            return
        device.items[item.id] = item
        begun = partial(self._intake.downlink_sent, item)
        if operation.kind in ("observe", "observe-composite"):
            asked = operation.paths or (operation.path,)
            begun()
            self._observing.begin(
                device, asked, self._within(device), partial(self._ended, device, item, operation)
            )
            return
        ended = partial(self._ended, device, item, operation)
        self.send(device, message, partial(self._answered, device, ended), ended, begun)

    def _cancel(self, device: Lwm2mDevice, item: Downlink, operation: Operation) -> None:
        key = key_of(operation.paths or (operation.path,))
        watch = device.watches.get(key)
        if watch is None or device.port is None:
            self._intake.downlink_refused(item, f"{key} is not observed")
            self._reactor.callLater(0, self.take, device)
            return
        device.port.endpoint.client.deregister(watch)
        device.port.sent()
        self._intake.downlink_carried_out(item)
        self._reactor.callLater(0, self.take, device)

    def _answered(
        self, device: Lwm2mDevice, ended: Callable[[Message | Unanswered], None], response: Message
    ) -> None:
        self._owner.was_heard(device)
        ended(response)

    def _ended(
        self, device: Lwm2mDevice, item: Downlink, operation: Operation, outcome: Message | Unanswered
    ) -> None:
        """A request of a user has an answer, or will have none."""
        device.items.pop(item.id, None)
        if isinstance(outcome, Unanswered):
            if outcome.first is not None:
                outcome = outcome.first
            else:
                if outcome.was_sent:
                    device.is_asleep = device.is_asleep or device.sleeps
                    self._intake.downlink_lost(item, outcome.reason)
                else:
                    device.is_asleep = device.is_asleep or outcome.reason == UNPROVED
                    self._intake.downlink_returned(item)
                return
        result = self._result(device, operation, outcome)
        if outcome.code < n.BAD_REQUEST:
            self._intake.downlink_carried_out(item, result)
        else:
            reason = f"the device answered {n.dotted(outcome.code)}"
            if outcome.payload and outcome.options.get_uint(n.CONTENT_FORMAT) in (None, n.TEXT_PLAIN):
                reason += f": {outcome.payload.decode('utf-8', 'replace')[:MAX_REASON]}"
            refuse = self._intake.downlink_refused if is_final(outcome.code) else self._intake.downlink_lost
            refuse(item, reason, result)
        self._owner.replied(device, item, operation, outcome)
        self.take(device)

    def _result(self, device: Lwm2mDevice, operation: Operation, response: Message) -> Metadata:
        """The answer as the item's result: code, bytes, and the values by their paths."""
        found = {"operation": operation.kind, **described(response)}
        if operation.path != ROOT:
            found["path"] = paths.text(operation.path)
        if operation.kind == "discover" and response.code == n.CONTENT:
            found["links"] = response.payload.decode("utf-8", "replace")
        elif response.payload and response.code == n.CONTENT:
            body: shaping.Body = {}
            objects = device.registration.objects
            form = response.options.get_uint(n.CONTENT_FORMAT)
            base = ROOT if operation.is_composite else operation.path
            nodes, problem = shaping.read(form, response.payload, base, device.plan, objects, 0.0)
            shaping.add_values(body, [_undated(node) for node in nodes], device.plan, objects, 0.0)
            found["values"] = body.get("values", {})
            found["names"] = {paths.text(node.path): self._shown(device, node.path) for node in nodes}
            if problem:
                found["error"] = problem
        return found

    def _shown(self, device: Lwm2mDevice, path: Path) -> dict[str, str]:
        """What a resource is called, for people."""
        plan, version = device.plan, device.plan.version(device.registration.objects, path[0])
        object_, resource = plan.models.object(path[0], version), plan.models.resource(path, version)
        if object_ is None or resource is None:
            return {}
        return {"object": object_.name, "name": resource.name, "units": resource.units}

    # --- how

    def send(
        self,
        device: Lwm2mDevice,
        message: Message,
        done: Callable[[Message], None],
        failed: Callable[[Unanswered], None],
        begun: Callable[[], None] | None = None,
    ) -> None:
        """Send a request to a device that listens; it fails at the latest when its window ends."""
        assert device.port is not None and device.remote is not None
        device.port.endpoint.request(
            message, device.remote, done, failed, self._policy, begun, self._within(device)
        )
        device.port.sent()

    def window(self, device: Lwm2mDevice) -> float:
        """Seconds for which a device listens now."""
        return device.listens_for(self._awake_time, self._reactor.seconds())

    def _within(self, device: Lwm2mDevice) -> float:
        window = self.window(device)
        return 0.0 if window == float("inf") else window

    def _type_of(self, device: Lwm2mDevice) -> Any:
        return shaping.typing(device.plan, device.registration.objects)


def _undated(node: Any) -> Any:
    return node if node.time is None else type(node)(node.path, node.value)


def _message(item: Downlink) -> Any:
    """What an item says: JSON, or a path as text. Raises `CodecError`."""
    if item.content_type == "TEXT":
        return item.payload.decode("utf-8", "replace")
    try:
        return plain_json.decode(item.payload)
    except plain_json.NotJson as error:
        raise CodecError(f"expected JSON: {error}") from error


def _nobody() -> None:
    """Nobody waits until it is stored."""
