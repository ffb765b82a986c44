"""One device's update: what is asked of it next, by what it said last.

The device's own state machine decides (Core 1.1.1 §E.6): its state and result are read after each step and whenever it wakes up, as
notifications of them are best effort (OMA#393). Nothing is sent while it sleeps. What is known is told by `changed`, so that another
process goes on from there.
"""

from __future__ import annotations

import secrets

from zope.interface import implementer

from iotgw.core.ports.firmware import Changed, IDeviceUpdate, UpdateOrder, UpdateState
from iotgw.datasources.lwm2m.device import Lwm2mDevice
from iotgw.datasources.lwm2m.update_work import FIRST, Reaches, Response, UpdateWork, Values
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import Message
from iotgw.wire.lwm2m.node import Node
from iotgw.wire.lwm2m.operations import Operation
from iotgw.wire.lwm2m.paths import Path
from iotgw.wire.lwm2m.updates import FIRMWARE_DATA, PULL_ONLY, SCHEMES, SOFTWARE, Stage

VERSION: Path = (3, 0, 3)
"""The firmware's version (Device object)."""
WRITTEN, FETCHED, AS_DATA = 1, 2, 3
"""A profile's strategies, as ThingsBoard numbers them."""
SHORT = 120.0
"""Seconds in which a device begins to fetch."""


@implementer(IDeviceUpdate)
class DeviceUpdate(UpdateWork):
    """An `IDeviceUpdate`.

    Many methods: one for each step of the state machine, and those of the port.
    """

    def __init__(self, owner: Reaches, order: UpdateOrder, state: UpdateState, changed: Changed) -> None:
        super().__init__(owner, order, state, changed)
        self._was_away = False
        self._registration = ""
        self._was_reset = False
        """Whether what the device says of an earlier image has been cleared."""

    # --- IDeviceUpdate

    def cancel(self) -> None:
        """See `IDeviceUpdate.cancel`."""
        device = self.owner.device(self.state.device)
        is_there = device is not None and self.owner.listens(device)
        begun = self.state.phase in ("transferring", "downloading")
        self.end("cancelled", "")
        if device is not None and is_there and begun:
            self.owner.ask(device, self._reset(), lambda response: None)

    # --- what its owner calls

    def look(self) -> None:
        """Do what is due; called once a second."""
        now = self.owner.seconds()
        device = self.owner.device(self.state.device)
        if device is not None:
            self.follow(device, now)
        if device is None or not self.owner.listens(device):
            self._was_away = True
            return
        if self.is_asking:
            return
        if self._was_away or device.registration.id != self._registration:
            self._registration, self._was_away, self.since = device.registration.id, False, now
            self.due, self.pause = 0.0, FIRST
        if now < self.due:
            return
        if self.object.id not in device.registration.objects.instances:
            self.end("failed", f"the device has no object {self.object.id}")
            return
        self._read(device)

    # --- reading what it says

    def _read(self, device: Lwm2mDevice) -> None:
        base = self.base

        def read(response: Response) -> None:
            if not isinstance(response, Message):
                self.wait(str(response))
            elif response.code >= n.BAD_REQUEST:
                self.refused(f"read of /{base[0]}/{base[1]}", response)
            else:
                found = {node.path: node.value for node in self.owner.values(device, base, response)}
                self._judge(device, found)

        self.ask(device, Operation("read", base), read)

    def _judge(self, device: Lwm2mDevice, values: Values) -> None:
        object_, base = self.object, self.base
        state, result = (values.get((*base, id)) for id in (object_.state, object_.result))
        if not isinstance(state, int):
            self.wait(f"the device names no state (/{base[0]}/{base[1]}/{object_.state})")
            return
        code = result if isinstance(result, int) else 0
        name, stage = object_.stage(state)
        self.become(state=name, result=object_.said(code))
        step = {
            "waiting": self._begin, "transferring": self._resume, "downloading": self._download,
            "installing": self._install,
        }[self.state.phase]  # fmt: skip
        step(device, stage, code, values)

    def _begin(self, device: Lwm2mDevice, stage: Stage, code: int, values: Values) -> None:
        if stage == "installing":
            self.wait("the device is installing something")
        elif stage == "installed" and self.object.prepare is not None:
            path = (*self.base, self.object.prepare)
            self.do(device, Operation("execute", path, arguments="1"), "prepare")  # for an update
        elif stage != "idle" or (code and self.object.id == 5 and not self._was_reset):
            self._was_reset = True
            self.do(device, self._reset(), "reset")
        elif not self.owner.may_transfer():
            self.wait("other devices come first")
        elif not self.state.version and self.object.id == 5:
            self._note_version(device, values)
        else:
            self._transfer(device, values)

    def _note_version(self, device: Lwm2mDevice, values: Values) -> None:
        """What runs on it now, to tell whether that has changed where its result doesn't."""

        def read(response: Response) -> None:
            if not isinstance(response, Message):
                self.wait(str(response))
                return
            found = self.owner.values(device, VERSION, response) if response.code < n.BAD_REQUEST else []
            self.become(version=str(found[0].value)[:64] if found else "unknown")
            self._transfer(device, values)

        self.ask(device, Operation("read", VERSION), read)

    # --- the image

    def _transfer(self, device: Lwm2mDevice, values: Values) -> None:
        if self.state.tries > self.order.retries:
            self.end("failed", self.state.reason or "too many tries")
            return
        self._was_reset = False
        method: str = self.order.method
        package = self.object.package
        if method == "auto":
            strategy = self._strategy(device, values)
            method = self._by_support(values) if strategy == FETCHED else "push"
            package = FIRMWARE_DATA.package if strategy == AS_DATA else package
        try:
            if method == "push":
                self._push(device, package)
            else:
                self._pull(device, method)
        except OSError as error:
            self.end("failed", f"the image can't be read: {error.strerror}")

    def _strategy(self, device: Lwm2mDevice, values: Values) -> int:
        """How its profile has it updated; else fetched if it says that it takes nothing else."""
        client = device.plan.profile.client_settings
        said = client.sw_update_strategy if self.object.id == SOFTWARE.id else client.fw_update_strategy
        known = values.get((*self.base, self.object.delivery)) if self.object.delivery is not None else None
        return said or (FETCHED if known == PULL_ONLY else WRITTEN)

    def _by_support(self, values: Values) -> str:
        """The first scheme that a device can fetch by and for which there is an address."""
        base, ids = self.base, self.object.protocols
        asked = [value for path, value in sorted(values.items()) if path[:3] == (*base, ids)] or [0]
        schemes = [SCHEMES.get(value, "") for value in asked if isinstance(value, int)]
        return next((each for each in schemes if each and self.owner.address(each, "x")), "coap")

    def _push(self, device: Lwm2mDevice, path: Path) -> None:
        if path[0] == self.object.id:
            path = (path[0], self.order.instance, path[2])
        self.become(phase="transferring", tries=self.state.tries + 1, sent=0, reason="")

        def written(response: Response) -> None:
            self.let_go()
            if isinstance(response, Message) and response.code < n.BAD_REQUEST:
                self.become(phase="downloading", sent=self.order.image.size)
                self.soon()
            elif isinstance(response, Message):
                self.refused("the image", response)
            else:
                self.again(str(response))

        self.send_image(device, path, written)

    def _pull(self, device: Lwm2mDevice, scheme: str) -> None:
        link = self.state.link or secrets.token_urlsafe(12)
        address = self.owner.address(scheme, link)
        if not address:
            self.end("failed", f"the datasource has no address for devices that fetch by {scheme} (firmware)")
            return
        self.become(phase="downloading", tries=self.state.tries + 1, sent=0, reason="", link=link)
        self.offer()
        if self.is_closed:
            return
        path = (*self.base, self.object.uri)

        def written(response: Response) -> None:
            if isinstance(response, Message) and response.code < n.BAD_REQUEST:
                self.soon()
            elif isinstance(response, Message):
                self.refused("the address of the image", response)
            else:
                self.again(str(response))

        self.ask(device, Operation("write", path, values=((path, address),)), written)

    def _resume(self, device: Lwm2mDevice, stage: Stage, code: int, values: Values) -> None:
        """A transfer was broken off, or its last answer was lost (OMA#303)."""
        if stage == "ready":
            self._execute(device)
        elif stage == "idle":
            self.become(phase="waiting")
            self.soon()
        else:
            self.do(device, self._reset(), "reset")

    def _download(self, device: Lwm2mDevice, stage: Stage, code: int, values: Values) -> None:
        if stage == "ready":
            self._execute(device)
        elif stage == "installing":
            self.become(phase="installing")
            self.soon()
        elif self.object.has_failed(code):
            self.failed_with(code)
        elif self.owner.seconds() - self.since > (SHORT if stage == "idle" else self.owner.download_time):
            self.again(f"the device is still {self.state.state} after {self.waited} s")
        else:
            self.later()

    # --- the installation

    def _execute(self, device: Lwm2mDevice) -> None:
        path = (*self.base, self.object.install)

        def executed(response: Response) -> None:
            if isinstance(response, Message) and response.code >= n.BAD_REQUEST:
                self.refused("the installation", response)
                return
            self.become(phase="installing")  # without an answer it may have begun all the same
            self.soon()

        self.ask(device, Operation("execute", path), executed)

    def _install(self, device: Lwm2mDevice, stage: Stage, code: int, values: Values) -> None:
        if code == self.object.success and stage in ("idle", "installed"):
            self._succeeded(device)
        elif self.object.has_failed(code) and stage != "installing":
            self.failed_with(code)
        elif self.owner.seconds() - self.since > self.owner.install_time:
            self.end("failed", f"the device is still {self.state.state} after {self.waited} s")
        elif stage == "ready" and not code and self.pause > FIRST * 4:
            self.pause = FIRST
            self._execute(device)  # it was never heard, or not carried out
        elif stage == "idle":
            self._compare(device)
        else:
            self.later()

    def _compare(self, device: Lwm2mDevice) -> None:
        """It forgot its result, as many do that start anew: has its version changed?"""

        def read(response: Response) -> None:
            found: list[Node] = []
            if isinstance(response, Message) and response.code < n.BAD_REQUEST:
                found = self.owner.values(device, VERSION, response)
            version = str(found[0].value)[:64] if found else ""
            if version and version != self.state.version:
                self._succeeded(device)
            else:
                self.become(reason="the device names no result, and its version is the same as before")
                self.later()

        self.ask(device, Operation("read", VERSION), read)

    def _succeeded(self, device: Lwm2mDevice) -> None:
        if self.object.activate is None:
            self.end("updated", "")
            return
        path = (*self.base, self.object.activate)

        def activated(response: Response) -> None:
            if isinstance(response, Message) and response.code >= n.BAD_REQUEST:
                self.end("failed", f"it is installed; its activation was answered {n.dotted(response.code)}")
            elif isinstance(response, Message):
                self.end("updated", "")
            else:
                self.wait(str(response))

        self.ask(device, Operation("execute", path), activated)

    def _reset(self) -> Operation:
        """Back to Idle (Core 1.1.1 §E.6: an empty Package URI)."""
        path = (*self.base, self.object.uri)
        return Operation("write", path, values=((path, ""),))
