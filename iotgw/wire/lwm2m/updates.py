"""The objects by which software gets onto a device, and what their states and results mean: Firmware Update (5, Core 1.1.1 §E.6)
and Software Management (9)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct, structs

from iotgw.wire.lwm2m.paths import Path

Stage = Literal["idle", "downloading", "ready", "installing", "installed"]
"""Where a device is: nothing is there; it gets the image; the image can be installed; it is being installed; it is."""

PUSH_ONLY, PULL_ONLY = 1, 0
"""Of the delivery method (5/0/9)."""
SCHEMES: Mapping[int, str] = {0: "coap", 1: "coaps", 2: "http", 3: "https"}
"""Of the protocol support (5/0/8)."""


class UpdateObject(Struct, frozen=True):
    """An object's resources, its states and its results by their numbers.

    ``package`` is where the image is written to, ``uri`` where its address is. ``success`` is the result of an update that went
    well. ``passing`` are failures that may not come again; ``fine`` are results that are none.
    """

    id: int
    package: Path
    uri: int
    install: int
    state: int
    result: int
    stages: Mapping[int, tuple[str, Stage]]
    results: Mapping[int, str]
    success: int
    fine: frozenset[int]
    passing: frozenset[int]
    protocols: int | None = None
    delivery: int | None = None
    version: int | None = None
    prepare: int | None = None
    """What is executed so that an installed one makes room for another."""
    activate: int | None = None

    def at(self, instance: int) -> Path:
        """The path of an instance."""
        return self.id, instance

    def stage(self, state: int) -> tuple[str, Stage]:
        """What a state is called, and where the device is then."""
        return self.stages.get(state, (f"state {state}", "idle"))

    def said(self, result: int) -> str:
        """A result in words; empty for the initial one."""
        return self.results.get(result, f"result {result}") if result else ""

    def has_failed(self, result: int) -> bool:
        """Whether a result is a failure."""
        return result not in self.fine and result != self.success


FIRMWARE = UpdateObject(
    id=5, package=(5, 0, 0), uri=1, install=2, state=3, result=5, version=7, protocols=8, delivery=9,
    stages={0: ("Idle", "idle"), 1: ("Downloading", "downloading"), 2: ("Downloaded", "ready"), 3: ("Updating", "installing")},
    results={
        1: "updated successfully", 2: "not enough flash memory", 3: "out of RAM during the download",
        4: "connection lost during the download", 5: "integrity check failure", 6: "unsupported package type", 7: "invalid URI",
        8: "firmware update failed", 9: "unsupported protocol", 10: "cancelled", 11: "deferred",
    },
    success=1, fine=frozenset((0, 11)), passing=frozenset((3, 4, 5)),
)  # fmt: skip
FIRMWARE_DATA = structs.replace(FIRMWARE, package=(19, 0, 0))
"""Firmware whose bytes are written to the object 19 (BinaryAppDataContainer), as ThingsBoard's strategy 3 has it; all else is by
object 5."""
SOFTWARE = UpdateObject(
    id=9, package=(9, 0, 2), uri=3, install=4, state=7, result=9, version=1, prepare=6, activate=10,
    stages={
        0: ("Initial", "idle"), 1: ("Download started", "downloading"), 2: ("Downloaded", "downloading"),
        3: ("Delivered", "ready"), 4: ("Installed", "installed"),
    },
    results={
        1: "downloading", 2: "installed successfully", 3: "downloaded and verified", 50: "not enough storage",
        51: "out of memory during the download", 52: "connection lost during the download", 53: "integrity check failure",
        54: "unsupported package type", 56: "invalid URI", 57: "an error that the device defines",
        58: "installation failure", 59: "uninstallation failure",
    },
    success=2, fine=frozenset((0, 1, 3)), passing=frozenset((51, 52, 53)),
)  # fmt: skip
TARGETS: Mapping[str, UpdateObject] = {
    "firmware": FIRMWARE, "firmware-data": FIRMWARE_DATA, "software": SOFTWARE,
}  # fmt: skip
"""By what is updated (`iotgw.core.ports.firmware.UpdateOrder.target`)."""
