"""The pause that a restore asks for by a file in the data directory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from iotgw.core.model import DEFAULT_TENANT
from iotgw.core.ports.pause import IPause, Paused
from iotgw.core.recorder import Recorder
from iotgw.delivery.service import DeliveryService
from iotgw.downlinks.queue import DownlinkQueue
from iotgw.store.manifest import sync
from iotgw.store.restore import PAUSED


@implementer(IPause)
class Pause:
    """An `IPause` of the deliveries and the downlinks; it holds as long as the file ``paused`` is there."""

    def __init__(
        self, data_dir: Path, delivery: DeliveryService, downlinks: DownlinkQueue, recorder: Recorder
    ) -> None:
        self._path = data_dir / PAUSED
        self._delivery = delivery
        self._downlinks = downlinks
        self._recorder = recorder
        self.paused: Paused | None = None
        self._adopted: list[DeliveryService] = []

    def covers(self, delivery: DeliveryService) -> Callable[[], None]:
        """The deliveries of an adopted partition are held back as well. Before they start; returns what ends that."""
        self._adopted.append(delivery)
        if self.paused is not None:
            delivery.hold()
        return lambda: self._adopted.remove(delivery)

    def start(self) -> None:
        """Hold back what would leave, where that is asked for; before it could."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return
        try:
            self.paused = msgspec.json.decode(content, type=Paused)
        except msgspec.DecodeError:  # made by hand
            self.paused = Paused(f"{self._path} is there", int(self._path.stat().st_mtime * 1000))
        self._delivery.hold()
        self._downlinks.hold()
        text = f"nothing is delivered, and no downlink leaves, until `iotgwctl resume`: {self.paused.reason}"
        self._recorder.note("paused", "gateway", "pause", text, DEFAULT_TENANT, "warning")

    def resume(self) -> Deferred[None]:
        """See `IPause.resume`."""
        if self.paused is None:
            return succeed(None)
        self._path.unlink(missing_ok=True)
        sync(self._path.parent)
        self.paused = None
        for delivery in (self._delivery, *self._adopted):
            delivery.release()
        self._downlinks.release()
        text = "deliveries and downlinks go on"
        self._recorder.note("resumed", "gateway", "pause", text, DEFAULT_TENANT, "info")
        return succeed(None)
