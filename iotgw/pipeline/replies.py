"""Decides when a device is answered, and with which downlinks.

An uplink is answered as soon as it is durable. The answer waits for the conversion if the datasource asks for that, if the
converter may have something to say to the sender, or if an item is queued for a device that only the converter can name. The
name behind an identity is remembered for a while, so a device whose datasource knows its identity waits only once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from math import inf

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from iotgw.core.model import Answer, Aside, Downlink, Outcome, State, Status, TelemetryRecord
from iotgw.core.platform_names import NamesAsTheyCome
from iotgw.core.ports.downlinks import IDownlinks
from iotgw.core.ports.intake import Reply
from iotgw.core.ports.journal import Entries, IUplinkStream
from iotgw.core.ports.pipeline import UplinkListener
from iotgw.core.ports.platform_names import IPlatformNames
from iotgw.core.proof import Proved, proved
from iotgw.pipeline.admission import BUSY
from iotgw.pipeline.rejections import BEYOND_LIMIT
from iotgw.pipeline.sources import Source
from iotgw.pipeline.strangers import UNKNOWN

PATIENCE = 5
"""Seconds that an answer waits for a conversion because of downlinks; after that they go with the next
uplink."""
REPLY_PATIENCE = 30
"""Seconds that an answer waits for a converter's reply; after that the device is told that its message is stored."""
UNTIL_CONVERTED = 1e18
"""No time, but less than ``inf``: an answer with facts of a connection, without which later messages belong to nobody."""
REMEMBERED = 600.0
"""Seconds after which learnt names of identities are forgotten, because converters may change."""
IDENTITIES = 100_000
Devices = tuple[str, ...]
"""Names and identities by which items are looked for, one after another."""
SEVERAL = ""
"""The name of an identity that sends for more than one device."""
NOTHING = Aside()
"""What a converter says that says nothing."""


class Replies(UplinkListener):
    """The replies that are due. ``sources`` holds the datasources by id."""

    _log = Logger()

    def __init__(
        self,
        sources: Mapping[str, Source],
        journal: IUplinkStream,
        downlinks: IDownlinks,
        clock: IReactorTime,
        platform_names: IPlatformNames | None = None,
    ) -> None:
        self._platform_names: IPlatformNames = platform_names or NamesAsTheyCome()
        self._sources = sources
        self._journal = journal
        self._downlinks = downlinks
        self._clock = clock
        self.waiting: dict[int, tuple[Source, Reply, str | None, float, Proved]] = {}
        """Answers that wait for the conversion, by position, with what the sender has proved; each is sent at the latest
        when `_seconds` reaches its value."""
        self._sweep: IDelayedCall | None = None
        self._seconds = 0
        """Grows once a second while somebody waits."""
        self._names: dict[tuple[str, str], str] = {}
        """The device's name, by datasource and identity; `SEVERAL` where there is more than one."""
        self._forget_at = 0.0

    def stored(self, datasource: str, entries: Entries) -> None:
        """Uplinks are durable: answer those that wait for nothing else."""
        source = self._sources.get(datasource)
        names = self._downlinks.waited_for(source.tenant) if source is not None else ()
        waits = source is not None and source.waits and not source.never_waits
        says = source.says if source is not None and not source.never_waits else frozenset()
        if source is None or not (names or says or waits):
            epoch = self._journal.epochs.current  # they were stored just now
            is_stored = Status.STORED
            for stored, (reply, _) in entries:
                self._tell(reply, Answer(is_stored, f"{epoch}-{stored.seq}"))
            return
        waiting, converts = self.waiting, source.converts
        if waits and converts:
            for stored, (reply, identity) in entries:
                waiting[stored.seq] = (source, reply, identity, inf, proved(stored.uplink.metadata))
            return
        until = float(self._seconds + PATIENCE)
        is_said = bool(says) and converts
        if is_said:
            until = UNTIL_CONVERTED if "session" in says else self._seconds + REPLY_PATIENCE
        for stored, (reply, identity) in entries:
            devices: Devices | None = ()
            has_proved = ""
            if is_said:
                waiting[stored.seq] = (source, reply, identity, until, proved(stored.uplink.metadata))
                continue
            if names and identity is not None:
                has_proved = proved(stored.uplink.metadata)
                devices = self._devices(source, identity, names, has_proved) if identity else None
                if devices is None and converts:
                    waiting[stored.seq] = (source, reply, identity, until, has_proved)
                    continue
            self._answer(source, reply, stored.seq, devices or (), Status.STORED, has_proved)
        if waiting and self._sweep is None:
            self._sweep = self._clock.callLater(1.0, self._give_up)

    def spilled(self, datasource: str, entries: Entries) -> None:
        """Uplinks are durable, and converted later: that is all that their senders can be told."""
        for stored, (reply, _) in entries:
            self._tell(reply, Answer(Status.STORED, self._name(stored.seq)))

    def refused(self, datasource: str, entries: Entries, reason: str) -> None:
        """These uplinks were refused: tell their senders."""
        for _, (reply, _) in entries:
            self._tell(reply, BUSY)

    def converted(self, outcomes: list[Outcome]) -> None:
        """These uplinks are converted. Answer those that waited only for the device's name, once the journal's writer
        is idle."""
        if self.waiting:
            self._journal.at_rest(partial(self._name_them, outcomes))

    def _name_them(self, outcomes: list[Outcome]) -> None:
        waiting = self.waiting
        for outcome in outcomes:
            if (entry := waiting.get(outcome.seq)) is not None and entry[3] < inf:
                del waiting[outcome.seq]
                source, reply, identity, _, has_proved = entry
                self._named(outcome, source, reply, identity, Status.STORED, has_proved)

    def settled(self, outcomes: list[Outcome], records: list[TelemetryRecord]) -> None:
        """These outcomes are durable: answer those that waited for that."""
        waiting = self.waiting
        if waiting:
            for outcome in outcomes:
                if (entry := waiting.pop(outcome.seq, None)) is not None:
                    source, reply, identity, _, has_proved = entry
                    self._named(outcome, source, reply, identity, _status(outcome), has_proved)

    def _named(
        self,
        outcome: Outcome,
        source: Source,
        reply: Reply,
        identity: str | None,
        status: Status,
        has_proved: Proved,
    ) -> None:
        """Answer with the items that wait for the identity, or for a device that the outcome names."""
        devices: Devices = ()
        aside = outcome.aside
        if identity is not None:
            names, is_anothers = self._downlinks.waited_for(source.tenant), self._platform_names.is_anothers
            told = [output.device_name for output in outcome.outputs]
            if identity and told:
                told = [name for name in told if not is_anothers(source.tenant, name, identity)]
                self._learn((source.id, identity), set(told) or {identity})
            said = "" if identity or aside is None else str(aside.facts.get("identity", ""))
            known = (identity, said, *told)
            devices = tuple(device for device in dict.fromkeys(known) if device in names)
        self._answer(source, reply, outcome.seq, devices, status, has_proved, aside or NOTHING)

    def removed(self, source: Source) -> None:
        """A datasource was deleted: answer its waiting uplinks as stored."""
        for seq, (waiting, reply, *_) in list(self.waiting.items()):
            if waiting is source:
                del self.waiting[seq]
                self._tell(reply, Answer(Status.STORED, self._name(seq)))

    def stop(self) -> None:
        """Stop the timer of waiting answers."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None

    def _devices(
        self, source: Source, identity: str, names: Collection[str], has_proved: Proved
    ) -> Devices | None:
        """The names by which the items may be found that go with the answer to this identity, as far as they are among
        ``names``, the devices for which items wait. None if only the converter can tell."""
        name = self._names.get((source.id, identity), SEVERAL)
        if identity in names and self._downlinks.waits(source.tenant, identity, source.id, has_proved):
            return (identity, name) if name in names and name != identity else (identity,)
        if name != SEVERAL:
            return (name,) if name in names else ()
        return None

    def _learn(self, key: tuple[str, str], names: set[str]) -> None:
        now = self._clock.seconds()
        if now > self._forget_at or len(self._names) >= IDENTITIES:
            self._names.clear()
            self._forget_at = now + REMEMBERED
        name = names.pop()
        self._names[key] = SEVERAL if names or self._names.get(key, name) != name else name

    def _give_up(self) -> None:
        """Answer whoever has waited long enough: a slow conversion must not keep a device waiting."""
        self._seconds += 1
        late = [seq for seq, entry in self.waiting.items() if entry[3] <= self._seconds]
        for seq in late:
            source, reply, *_ = self.waiting.pop(seq)
            self._answer(source, reply, seq, (), Status.STORED)
        self._sweep = self._clock.callLater(1.0, self._give_up) if self.waiting else None

    def _answer(
        self,
        source: Source,
        reply: Reply,
        seq: int,
        devices: Devices,
        status: Status,
        has_proved: Proved = "",
        aside: Aside = NOTHING,
    ) -> None:
        """Answer with an item of the first of these devices that has one, if any."""
        name = self._name(seq)
        if not devices:
            self._tell(reply, Answer(status, name, 0.0, (), aside.reply, aside.facts))
            return

        def with_downlinks(items: tuple[Downlink, ...]) -> None:
            if items or len(devices) == 1:
                self._tell(reply, Answer(status, name, 0.0, items, aside.reply, aside.facts))
            else:
                self._answer(source, reply, seq, devices[1:], status, has_proved, aside)

        self._downlinks.take(source.tenant, devices[0], source.id, 1, with_downlinks, has_proved)

    def _name(self, seq: int) -> str:
        return self._journal.epochs.message_id(seq)

    def _tell(self, reply: Reply, answer: Answer) -> None:
        """Call a datasource back; an exception in it doesn't affect others."""
        try:
            reply(answer)
        except Exception:
            self._log.failure("a datasource failed when it was told of an uplink")


def _status(outcome: Outcome) -> Status:
    """What the sender of a converted uplink is told."""
    if outcome.state is not State.FAILED:
        return Status.STORED
    name = outcome.error.name if outcome.error is not None else ""
    if name == BEYOND_LIMIT:
        return Status.STORED
    return Status.REFUSED if name == UNKNOWN else Status.FAILED
