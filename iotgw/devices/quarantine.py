"""Devices that nobody knows, with the messages that wait for somebody to say what becomes of them.

The messages are in the journal, and so is that they wait; this is read again at a start. In memory there are 8 bytes for each
of them, and what a person wants to see of the device.
"""

from __future__ import annotations

import builtins
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct
from twisted.internet.defer import ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from iotgw.core.device_entry import DeviceSpec
from iotgw.core.errors import Conflict, IotgwError, NotFound, SettingsError, Unavailable
from iotgw.core.ports.devices import HeldDevice, IFleet, IQuarantine, IReleases
from iotgw.core.ports.journal import IMessages
from iotgw.core.ports.pipeline import IPipeline
from iotgw.core.recorder import Recorder

MOST_DEVICES = 10_000
"""Devices of a tenant that may be in quarantine."""
MOST_MESSAGES = 1_000_000
"""Messages of a tenant that may wait."""
SAMPLE = 4096
"""Bytes of what a converter made that are kept to be shown."""
PAGE = 1000


class _Held(Struct, gc=False):
    datasource: str
    first_ms: int
    last_ms: int
    positions: dict[str, array[int]] = {}
    """Of what waits, by the datasource that it came by."""
    body: bytes = b""
    is_leaving: bool = False

    @property
    def messages(self) -> int:
        return sum(map(len, self.positions.values()))


@implementer(IQuarantine)
class Quarantine:
    """Every tenant's devices in quarantine."""

    def __init__(self, fleet: IFleet, recorder: Recorder) -> None:
        self._fleet = fleet
        self._recorder = recorder
        self._held: dict[str, dict[str, _Held]] = {}
        self._messages: Counter[str] = Counter()
        """How many wait, by tenant."""
        self._late: builtins.list[Callable[[str, str], None]] = []

    # --- for the pipeline ---

    def is_known(self, tenant: str, device: str) -> bool:
        """See `IQuarantine.is_known`."""
        if self._fleet.get(tenant, device) is None:
            return False
        held = self._held.get(tenant)
        return held is None or device not in held

    def has_room(self, tenant: str, devices: Sequence[str]) -> bool:
        """See `IQuarantine.has_room`."""
        held = self._held.get(tenant, {})
        new = sum(device not in held for device in devices)
        return len(held) + new <= MOST_DEVICES and self._messages[tenant] < MOST_MESSAGES

    def hold(
        self, tenant: str, device: str, datasource: str, seq: int, received_ms: int, body: bytes = b""
    ) -> None:
        """See `IQuarantine.hold`."""
        held = self._held.setdefault(tenant, {})
        found = held.get(device)
        if found is None:
            if self._fleet.get(tenant, device) is not None:  # it was released while this was being converted
                for callback in self._late:
                    callback(tenant, device)
            found = held[device] = _Held(datasource, received_ms, received_ms)
            if body:  # not when it is read again at a start
                text = "a message of a device that nobody knows; it waits until the device is released"
                self._recorder.note(
                    "device.quarantined", "device", device, text, tenant, "warning", device=device
                )
        positions = found.positions.setdefault(datasource, array("q"))
        at = bisect_left(positions, seq)
        if at < len(positions) and positions[at] == seq:
            return
        positions.insert(at, seq)
        self._messages[tenant] += 1
        found.first_ms, found.last_ms = min(found.first_ms, received_ms), max(found.last_ms, received_ms)
        if 0 < len(body) <= SAMPLE:
            found.body = body

    # --- for users ---

    def list(self, tenant: str, after: str, limit: int) -> builtins.list[HeldDevice]:
        """See `IQuarantine.list`."""
        held = self._held.get(tenant, {})
        names = sorted(name for name in held if name > after)[:limit]
        return [self._view(name, held[name]) for name in names]

    def get(self, tenant: str, device: str) -> HeldDevice:
        """See `IQuarantine.get`."""
        return self._view(device, self._of(tenant, device))

    def count(self, tenant: str | None) -> int:
        """See `IQuarantine.count`."""
        return sum(len(held) for of, held in self._held.items() if tenant in (None, of))

    def came_by(self, tenant: str, datasource: str) -> dict[str, int]:
        """See `IQuarantine.came_by`."""
        held = sorted(self._held.get(tenant, {}).items())
        return {name: len(each.positions[datasource]) for name, each in held if datasource in each.positions}

    def listen(self, callback: Callable[[str, str, bool], None]) -> None:
        """See `IQuarantine.listen`."""
        self._fleet.watch(callback)

    # --- for releases ---

    def when_known(self, callback: Callable[[str, str], None]) -> None:
        """Call ``callback(tenant, device)`` when something waits of a device that somebody knows, and should not any more."""
        self._late.append(callback)

        def came(tenant: str, device: str, is_there: bool) -> None:
            if is_there and device in self._held.get(tenant, ()):
                callback(tenant, device)

        self._fleet.watch(came)

    def take(self, tenant: str, device: str) -> int | None:
        """The first message that waits; None without any."""
        return min((each[0] for each in self._of(tenant, device).positions.values()), default=None)

    def settled(self, tenant: str, device: str, seq: int) -> None:
        """A message waits no more."""
        held = self._of(tenant, device).positions
        for datasource, positions in held.items():
            at = bisect_left(positions, seq)
            if at < len(positions) and positions[at] == seq:
                del positions[at]
                self._messages[tenant] -= 1
                if not positions:
                    del held[datasource]
                return

    def leaves(self, tenant: str, device: str, is_leaving: bool = True) -> None:
        """A device is being released, or dropped. Raises NotFound, and Conflict if it is already."""
        held = self._of(tenant, device)
        if held.is_leaving and is_leaving:
            raise Conflict(f"device {device!r} is being released or dropped already")
        held.is_leaving = is_leaving

    def is_gone(self, tenant: str, device: str) -> None:
        """Nothing of a device waits any more."""
        self._messages[tenant] -= self._of(tenant, device).messages
        del self._held[tenant][device]

    def known(self) -> Sequence[tuple[str, str]]:
        """Devices in quarantine that somebody knows: their release didn't come to its end, or they were created by hand."""
        return [
            (tenant, device)
            for tenant, held in self._held.items()
            for device in held
            if self._fleet.get(tenant, device) is not None
        ]

    def _of(self, tenant: str, device: str) -> _Held:
        found = self._held.get(tenant, {}).get(device)
        if found is None:
            raise NotFound(f"device {device!r} is not in quarantine")
        return found

    def _view(self, device: str, held: _Held) -> HeldDevice:
        body = msgspec.Raw(held.body) if held.body else None
        return HeldDevice(
            device, held.datasource, held.first_ms, held.last_ms, held.messages, held.is_leaving, body
        )


@implementer(IReleases)
class Releases:
    """Lets devices out of quarantine, each with its messages in their order: what comes meanwhile waits behind them."""

    _log = Logger()

    def __init__(
        self,
        quarantine: Quarantine,
        fleet: IFleet,
        journal: IMessages,
        pipeline: IPipeline,
        recorder: Recorder,
        clock: IReactorTime,
    ) -> None:
        self._quarantine = quarantine
        self._fleet = fleet
        self._journal = journal
        self._pipeline = pipeline
        self._recorder = recorder
        self._clock = clock
        self._is_stopping = False
        quarantine.when_known(self._soon)

    def stop(self) -> None:
        """Release nothing more; the next start goes on."""
        self._is_stopping = True

    def _soon(self, tenant: str, device: str) -> None:
        """A device in quarantine was created, or is known although something waits: release it by itself."""

        def go() -> None:
            if not self._is_stopping:
                ensureDeferred(self._quietly(tenant, device)).addErrback(
                    lambda failure: self._log.failure("a device could not be released", failure)
                )

        self._clock.callLater(0, go)

    async def _quietly(self, tenant: str, device: str) -> None:
        try:
            await self.release(tenant, device)
        except (NotFound, Conflict):  # somebody else has done it, or does
            pass
        except IotgwError as error:
            self._log.warn("device {name} stays in quarantine: {error}", name=device, error=error)

    async def load(self) -> None:
        """Learn from the journal what waits; the fleet and the journal have started, and the pipeline has not."""
        after = 0
        while True:
            page = await self._journal.quarantined(after, PAGE)
            for seq, tenant, datasource, received_ms, devices in page:
                after = seq
                for device in devices:
                    self._quarantine.hold(tenant, device, datasource, seq, received_ms)
            if len(page) < PAGE:
                return

    async def go_on(self) -> None:
        """Go on with the releases that the last process didn't end."""
        for tenant, device in self._quarantine.known():
            await self._quietly(tenant, device)

    async def release(self, tenant: str, device: str) -> int:
        """See `IReleases.release`."""
        self._quarantine.leaves(tenant, device)
        count = 0
        try:
            if self._fleet.get(tenant, device) is None:
                try:
                    spec = DeviceSpec(name=device)
                except ValueError as error:
                    raise SettingsError("name", str(error)) from error
                await self._fleet.save(tenant, spec)
            count, lost = await self._work_off(tenant, device, is_dropped=False)
        except BaseException:
            self._quarantine.leaves(tenant, device, is_leaving=False)
            raise
        text = f"released from quarantine with {count} messages"
        text += f"; {lost} of deleted datasources can't be converted any more" if lost else ""
        self._recorder.note(
            "device.released", "device", device, text, tenant, "warning" if lost else "info",
            device=device, messages=count, lost=lost,
        )  # fmt: skip
        return count

    async def drop(self, tenant: str, device: str) -> int:
        """See `IReleases.drop`."""
        self._quarantine.leaves(tenant, device)
        try:
            return sum(await self._work_off(tenant, device, is_dropped=True))
        except BaseException:
            self._quarantine.leaves(tenant, device, is_leaving=False)
            raise

    async def _work_off(self, tenant: str, device: str, is_dropped: bool) -> tuple[int, int]:
        """Let go of what waits. Returns how many messages were converted again, or dropped, and of how many the datasource is gone."""
        count = lost = 0
        while (seq := self._quarantine.take(tenant, device)) is not None:
            if self._is_stopping:
                raise Unavailable("the gateway stops; the next start goes on")
            try:
                message = await self._journal.message(seq)
                if message is not None and message.uplink.tenant == tenant:
                    await self._pipeline.release(message, device, is_dropped)
                    count += 1
            except Unavailable as error:
                if self._is_stopping:
                    raise
                self._log.warn("a message in quarantine can't be read: {error}", error=error)
            except (NotFound, Conflict):  # its datasource is gone
                lost += 1
            self._quarantine.settled(tenant, device, seq)
        self._quarantine.is_gone(tenant, device)
        return count, lost
