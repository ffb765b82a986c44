"""Updates of what runs on devices: what is asked of a datasource that can do them, and how far each device is."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any, Literal

from msgspec import Struct
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from iotgw.core.ports.datasources import IDatasource

Method = Literal["auto", "push", "coap", "coaps", "http"]
"""How an image gets to a device: it is sent to it, or fetched by it. ``auto`` is what the device can do."""
Target = Literal["firmware", "software", "firmware-data"]
"""What is updated: the firmware, an instance of the software, or the firmware where its bytes go by a way of their own."""
Phase = Literal["waiting", "transferring", "downloading", "installing", "updated", "failed", "cancelled"]
FINAL: frozenset[Phase] = frozenset(("updated", "failed", "cancelled"))


class Image(Struct, frozen=True):
    """A file that devices get: its name for people, its place on the disk, its bytes, and its digest in hexadecimal."""

    name: str
    path: str
    size: int
    sha256: str


class UpdateOrder(Struct, frozen=True):
    """What is to be done to each device of a job. ``instance`` is the software's. ``retries`` are further tries after the first one fails."""

    job: str
    image: Image
    method: Method = "auto"
    target: Target = "firmware"
    instance: int = 0
    retries: int = 3


class UpdateState(Struct, frozen=True, rename="camel", omit_defaults=True):
    """How far a device is.

    ``state`` and ``result`` are what the device said last, in its protocol's words. ``sent`` are the bytes that it has taken, ``tries`` how often
    the transfer was begun. ``version`` is what ran on it before. ``link`` is the secret in the address that it fetches the image from.
    ``reason`` is why it waits, or why it failed.
    """

    device: str
    phase: Phase = "waiting"
    state: str = ""
    result: str = ""
    sent: int = 0
    tries: int = 0
    version: str = ""
    reason: str = ""
    link: str = ""

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens to it."""
        return self.phase in FINAL

    def view(self) -> dict[str, Any]:
        """As people see it: without the secret."""
        return {
            "device": self.device, "phase": self.phase, "state": self.state, "result": self.result, "sent": self.sent,
            "tries": self.tries, "version": self.version, "reason": self.reason,
        }  # fmt: skip


Changed = Callable[[UpdateState], None]


class IDeviceUpdate(Interface):
    """An update of one device under way."""

    state: UpdateState = Attribute("how far it is")
    is_closed: bool = Attribute(
        "whether nobody works at it any more: it is over, or its datasource was closed"
    )

    def cancel() -> None:
        """End it. The device is told, if it listens, and its state is final."""

    def leave() -> None:
        """Work at it no longer; its state stays, and another one may go on from there."""


class IUpdatesDevices(IDatasource):
    """A datasource that can update what runs on its devices."""

    def has(device: str) -> bool:
        """Whether a device is one of its, now."""

    def update(order: UpdateOrder, state: UpdateState, changed: Changed) -> IDeviceUpdate:
        """Bring a device's update from ``state`` to its end, over days if need be. ``changed`` is told of each new state. Raises Conflict
        while another update of the device is under way."""


class IFirmwareJobs(Interface):
    """The jobs that update devices."""

    def devices(tenant: str, job: str) -> Deferred[builtins.list[UpdateState]]:
        """The devices of a job, by name. Fails with NotFound."""
