"""`iotgw.core.ports.converters.IConverters`: jobs in, conversions out, however the scripts behave.

Each converter version has a home among the workers, so its messages stay in order. One that dies moves to a
worker for suspects, where it runs alone until it has proved itself (`iotgw.converters.breaker`). More workers serve people
who save scripts (`iotgw.converters.desk`) and downlinks, so neither waits for the other. What people try out has a service
of its own on the same pool (`ConverterService.for_trials`).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger
from zope.interface import implementer

from iotgw.converters import beside
from iotgw.converters.breaker import STRIKES
from iotgw.converters.death import TIME, Death
from iotgw.converters.desk import PLACES, Desk
from iotgw.converters.line import LIMITS, TIME_LIMIT, Batch, DoneWith, Loaded, Task, TaskLine, fatal
from iotgw.converters.metering import ConverterMeter
from iotgw.converters.options import DEFAULT_TIME_LIMIT, limited, read
from iotgw.converters.pool import WorkerPool
from iotgw.converters.protocol import Forget, frame
from iotgw.converters.slot import Slot, Work
from iotgw.converters.state import MemoryStates, States
from iotgw.converters.translation import check_size
from iotgw.converters.trial import TryWork
from iotgw.core.clock import PlainCalendar
from iotgw.core.errors import ConversionFailed, SettingsError, TooMany, Unavailable, Undecided
from iotgw.core.model import (
    DEFAULT_TENANT,
    Conversion,
    ConversionError,
    ConverterVersion,
    Job,
    Metadata,
    Uplink,
)
from iotgw.core.ports.clock import IDates
from iotgw.core.ports.converters import IConverters
from iotgw.core.ports.intake import Severity
from iotgw.core.ports.reactor import IReactor
from iotgw.core.ports.usage import IMetered, Tally
from iotgw.core.specs import ConverterSpec

log = Logger()

SCRIPTS_KEPT = 32 << 20
"""Bytes of scripts that workers know at a time."""
UNCONFINED = "Unconfined"
"""The error of messages whose script was not run, because there is nothing to confine it."""

Report = Callable[[str, ConverterVersion, str, Severity], None]
"""``report(type, version, message, severity)``: something about a converter that its owner should see."""


@implementer(IConverters, IMetered)
class ConverterService:
    """The converter service.

    Where workers can't be confined, every conversion fails with an error that says so, unless ``is_unconfined``.

    ``workers`` run uplinks; ``time_limit`` is CPU seconds per call of a script whose options set none, ``memory_limit``
    bytes of address space per worker. ``report`` hears of suspensions. ``states`` keeps scripts' properties.

    Many methods: it has those of three ports, `IConverters`, `IMetered` and `iotgw.converters.line.Judge`.
    """

    def __init__(
        self,
        reactor: IReactor,
        workers: int = 2,
        time_limit: float = DEFAULT_TIME_LIMIT,
        memory_limit: int = 256 << 20,
        report: Report | None = None,
        states: States | None = None,
        dates: IDates | None = None,
        is_unconfined: bool = False,
        pool: WorkerPool | None = None,
    ) -> None:
        self._owns_pool = pool is None
        self.pool = pool or WorkerPool(reactor, memory_limit, is_unconfined)
        kind = "" if self._owns_pool else "trial-"
        self.states: States = states if states is not None else MemoryStates()
        self.meter = ConverterMeter()
        self.time_limit = time_limit
        self._reactor = reactor
        self._dates: IDates = dates or PlainCalendar(reactor)
        self._report = report
        self._lines = [
            TaskLine(self, self.pool.slot, f"{kind}worker-{number + 1}") for number in range(workers)
        ]
        self._quarantine = TaskLine(self, self.pool.slot, f"{kind}quarantine", is_careful=True)
        names = [f"{kind}desk-{number + 1}" for number in range(PLACES)]
        self._desk = Desk(reactor, self.pool.slot, names, "saves" if self._owns_pool else "trials")
        self._encoders: deque[Work] = deque()
        self._encoder_slot: Slot | None = None
        if self._owns_pool:
            self._encoder_slot = self.pool.slot(
                "downlinks", lambda: self._encoders.popleft() if self._encoders else None
            )
        self._loaded: OrderedDict[str, Loaded] = OrderedDict()
        self._numbers = 0
        self._script_bytes = 0

    def for_trials(self) -> ConverterService:
        """A service for what people try out: with workers of its own, forked from the same template, so that no message
        and nobody who saves waits for them. It starts and stops with this one, and keeps nothing of devices."""
        return ConverterService(
            self._reactor, workers=1, time_limit=self.time_limit, dates=self._dates, pool=self.pool
        )

    def start(self) -> Deferred[None]:
        """Start the workers' template; fires when the first conversion can run."""
        return self.pool.start()

    def stop(self) -> Deferred[None]:
        """End every worker. Conversions in progress are dropped; their messages are in the journal."""
        return self.states.stop().addBoth(lambda _: self.pool.stop())

    def status(self) -> dict[str, Any]:
        """For the API and metrics: the engines, and per worker how much is waiting and how often it died."""
        now = self._reactor.seconds()
        return {
            "confinement": self.pool.confinement_view(),
            "engines": list(self.pool.engines),
            "workers": [
                {"name": slot.name, "pid": slot.pid, "deaths": slot.deaths, "busy": slot.is_busy}
                for slot in self.pool.slots.values()
            ],
            "waiting": sum(len(line.tasks) for line in (*self._lines, self._quarantine)),
            "suspended": {
                key: round(loaded.breaker.suspended_for(now), 1)
                for key, loaded in self._loaded.items()
                if loaded.breaker.suspended_for(now)
            },
        }

    def tallies(self) -> list[Tally]:
        """See `IMetered.tallies`."""
        return self.meter.tallies()

    # --- IConverters ---

    def convert(self, jobs: list[Job], done: DoneWith) -> None:
        """See `iotgw.core.ports.converters.IConverters`."""
        if not jobs:
            self._reactor.callLater(0, done, [])
            return
        if refusal := self.pool.refusal:
            error = ConversionError(refusal, name=UNCONFINED)
            self._reactor.callLater(0, done, [Conversion(error=error)] * len(jobs))
            return
        batch = Batch(len(jobs), done)
        version: ConverterVersion | None = None
        loaded: Loaded | None = None
        lines = set()
        for index, job in enumerate(jobs):
            if job.converter is not version or loaded is None:
                version = job.converter
                loaded = self._load(version)
            loaded.pending += 1
            task = (batch, index, job, loaded)
            if loaded.breaker.is_suspect or loaded.in_quarantine:
                self._enter_quarantine(task)
                lines.add(self._quarantine)
            else:
                loaded.home.tasks.append(task)
                lines.add(loaded.home)
        for line in lines:
            line.slot.pump()

    def remembers(self, version: ConverterVersion) -> bool:
        """See `iotgw.core.ports.converters.IConverters`."""
        return self._load(version).remembers

    def says(self, version: ConverterVersion) -> frozenset[str]:
        """See `iotgw.core.ports.converters.IConverters`."""
        return beside.names(version)

    def compile(
        self, spec: ConverterSpec, tenant: str = DEFAULT_TENANT, samples: Sequence[Uplink] = ()
    ) -> Deferred[tuple[str, str]]:
        """See `iotgw.core.ports.converters.IConverters`."""
        answer: Deferred[Any] = Deferred()
        try:
            check_size(spec)
            limit = read(spec.options).time_limit or self.time_limit
        except SettingsError as error:
            answer.errback(error)
            return answer
        body = {
            "spec": msgspec.to_builtins(spec),
            "timeLimit": limit,
            "samples": [(each.payload, each.metadata, each.received_ms) for each in samples],
        }
        answer = self._try(tenant, body, "compile", limit)

        def compiled(told: dict[str, Any]) -> tuple[str, str]:
            if choices := told.get("choices"):
                raise Undecided(tuple(choices), told["problem"])
            if "problem" in told:
                raise SettingsError(told["path"], told["problem"])
            return told["dialect"], told["engine"]

        return answer.addCallback(compiled)

    def test(
        self, version: ConverterVersion, payload: bytes, metadata: bytes | Metadata, received_ms: int
    ) -> Deferred[dict[str, Any]]:
        """See `iotgw.core.ports.converters.IConverters`."""
        version = limited(version, self.time_limit)
        body = {
            "version": msgspec.to_builtins(version),
            "payload": payload,
            "metadata": metadata if isinstance(metadata, bytes) else msgspec.json.encode(metadata),
            "receivedMs": received_ms,
        }

        def tested(told: dict[str, Any]) -> dict[str, Any]:
            nothing: dict[str, Any] = {
                "result": None,
                "telemetry": [],
                "warnings": [],
                "logs": [],
                "durationMs": None,
            }
            return {**nothing, **told} if "durationMs" not in told else told

        return self._try(version.tenant, body, "test", version.time_limit).addCallback(tested)

    def encode(
        self,
        version: ConverterVersion,
        msg: Any,
        metadata: dict[str, Any],
        msg_type: str,
        integration_metadata: dict[str, Any],
    ) -> Deferred[dict[str, Any]]:
        """See `iotgw.core.ports.converters.IConverters`; fails with ConversionFailed."""
        if refusal := self.pool.refusal:
            return fail(ConversionFailed(ConversionError(refusal, name=UNCONFINED)))
        version = limited(version, self.time_limit)
        body = {
            "version": msgspec.to_builtins(version),
            "message": [msg, msg_type, integration_metadata],
            "metadata": metadata,
            "receivedMs": int(self._dates.seconds() * 1000),
        }

        def encoded(told: dict[str, Any]) -> dict[str, Any]:
            if told["error"] is not None:
                raise ConversionFailed(msgspec.convert(told["error"], ConversionError))
            return told

        if self._encoder_slot is None:
            return self._try(version.tenant, body, "encode", version.time_limit).addCallback(encoded)
        work = TryWork("encode", body, version.time_limit)
        self._encoders.append(work)
        self._encoder_slot.pump()
        return work.answer.addCallback(encoded)

    def _try(self, tenant: str, body: dict[str, Any], what: str, time_limit: float) -> Deferred[Any]:
        if refusal := self.pool.refusal:
            return fail(Unavailable(refusal, 60.0))
        try:
            return self._desk.put(tenant, TryWork(what, body, time_limit))
        except TooMany as error:
            return fail(error)

    # --- where a task goes ---

    def _load(self, version: ConverterVersion) -> Loaded:
        key = f"{version.tenant}/{version.key}"
        loaded = self._loaded.get(key)
        if loaded is not None and loaded.version is not version and loaded.version != version:
            self._forget(key, loaded)  # a draft under a used name
            loaded = None
        if loaded is None:
            home = min(self._lines, key=lambda line: line.converters)
            home.converters += 1
            self._numbers += 1
            loaded = self._loaded[key] = Loaded(
                self._numbers, version, limited(version, self.time_limit), home
            )
            self.meter.enter(self._numbers, version)
            self._script_bytes += version.length
            self._shrink()
        else:
            self._loaded.move_to_end(key)
        return loaded

    def _shrink(self) -> None:
        """Have workers forget the scripts that were not used for longest."""
        if self._script_bytes <= SCRIPTS_KEPT:
            return
        for key, loaded in list(self._loaded.items())[:-1]:
            if loaded.pending or loaded.breaker.is_suspect:
                continue
            self._forget(key, loaded)
            if self._script_bytes <= SCRIPTS_KEPT:
                return

    def _forget(self, key: str, loaded: Loaded) -> None:
        del self._loaded[key]
        self.meter.leave(loaded.number)
        self._script_bytes -= loaded.version.length
        loaded.home.converters -= 1
        for slot in self.pool.slots.values():
            slot.tell(loaded.number, frame(Forget(loaded.number)))

    def route(self, task: Task) -> None:
        """A task that found its converter to be a suspect."""
        self._enter_quarantine(task)
        self._reactor.callLater(0, self._quarantine.slot.pump)

    def _enter_quarantine(self, task: Task) -> None:
        task[3].in_quarantine += 1
        self._quarantine.tasks.append(task)

    def is_refused(self, task: Task) -> bool:
        """Whether a suspect's breaker is open; its task then fails at once."""
        loaded = task[3]
        wait = loaded.breaker.suspended_for(self._reactor.seconds())
        if not wait:
            return False
        loaded.in_quarantine -= 1
        error = ConversionError(
            f"the converter is suspended for {wait:.0f} s more, because it died {STRIKES} times in a row "
            f"({loaded.breaker.last_cause})",
            name="Suspended",
        )
        loaded.pending -= 1
        self._reactor.callLater(0, task[0].settle, task[1], Conversion(error=error))
        return True

    # --- what became of it ---

    def died(self, task: Task, death: Death, is_quarantine: bool) -> None:
        """A worker died of this task."""
        loaded = task[3]
        self.meter.died(loaded.number, loaded.limited.time_limit if death.cause == TIME else 0.0)
        if is_quarantine:
            error = fatal(death, loaded.limited.time_limit)
            loaded.in_quarantine -= 1
            self._strike(loaded, error)
            loaded.pending -= 1
            task[0].settle(task[1], Conversion(error=error))
            return
        loaded.breaker.suspect()
        # the first in line, before its converter's later messages
        loaded.in_quarantine += 1
        self._quarantine.tasks.appendleft(task)
        self._quarantine.slot.pump()

    def over_limit(self, task: Task, conversion: Conversion) -> None:
        """A script was stopped by its engine at a limit; the worker lives."""
        loaded = task[3]
        assert conversion.error is not None
        if conversion.error.name == TIME_LIMIT and conversion.error.line is None:
            self.died(task, Death(TIME, is_own=True), is_quarantine=False)  # see where it hangs
            return
        self._strike(loaded, conversion.error)
        loaded.pending -= 1
        task[0].settle(task[1], conversion)

    def judged(self, task: Task, conversion: Conversion) -> None:
        """A suspect's conversion came to an end, alone."""
        loaded = task[3]
        loaded.in_quarantine -= 1
        if conversion.error is not None and conversion.error.name in LIMITS:
            self._strike(loaded, conversion.error)
        elif loaded.breaker.survived():
            self._tell("converter.trusted", loaded, "runs among the others again", "info")
        loaded.pending -= 1
        task[0].settle(task[1], conversion)

    def _strike(self, loaded: Loaded, error: ConversionError) -> None:
        was_suspect = loaded.breaker.is_suspect
        if loaded.breaker.strike(self._reactor.seconds(), error.message):
            wait = loaded.breaker.suspended_for(self._reactor.seconds())
            text = f"suspended for {wait:.0f} s: it died {STRIKES} times in a row ({error.message})"
            self._tell("converter.suspended", loaded, text, "error")
        elif not was_suspect:
            self._tell("converter.suspect", loaded, f"runs alone from now on: {error.message}", "warning")

    def _tell(self, type_: str, loaded: Loaded, message: str, severity: Severity) -> None:
        log.info("converter {key}: {message}", key=loaded.version.key, message=message)
        if self._report is not None:
            self._report(type_, loaded.version, message, severity)
