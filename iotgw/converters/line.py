"""Conversions on their way to a worker: batches, the converters that they name, and a line per worker."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from twisted.logger import Logger

from iotgw.converters.breaker import ScriptBreaker
from iotgw.converters.death import MEMORY, TIME, Death
from iotgw.converters.metering import ConverterMeter
from iotgw.converters.protocol import Define, Run, RunDone, ScriptCall, Tried, frame
from iotgw.converters.slot import Slot, Work
from iotgw.converters.state import States, device_of, parts_of, place_of
from iotgw.core.model import Conversion, ConversionError, ConverterVersion, Job

log = Logger()

FRAME_CALLS = 64
FRAME_BYTES = 256 << 10
TIME_LIMIT = "TimeLimit"
LIMITS = (TIME_LIMIT, "MemoryLimit")
"""Names of errors that count as deaths. Both are measured in the script's own CPU time and memory."""

DoneWith = Callable[[list[Conversion]], None]


class Judge(Protocol):
    """Who decides what a death means: the service."""

    states: States
    meter: ConverterMeter

    def route(self, task: Task) -> None:
        """A task that found its converter to be a suspect."""

    def is_refused(self, task: Task) -> bool:
        """Whether a suspect's breaker is open; its task then fails at once."""

    def died(self, task: Task, death: Death, is_quarantine: bool) -> None:
        """A worker died of this task."""

    def over_limit(self, task: Task, conversion: Conversion) -> None:
        """A script was stopped by its engine at a limit; the worker lives."""

    def judged(self, task: Task, conversion: Conversion) -> None:
        """A suspect's conversion came to an end, alone."""


class Batch:
    """The jobs of one `convert` call and what has become of them."""

    __slots__ = ("done", "missing", "results")

    def __init__(self, size: int, done: DoneWith) -> None:
        self.results: list[Any] = [None] * size
        self.missing = size
        self.done = done

    def settle(self, index: int, conversion: Conversion) -> None:
        """One result; the last one hands the batch back."""
        self.results[index] = conversion
        self.missing -= 1
        if self.missing:
            return
        try:
            self.done(self.results)
        except Exception:  # the caller's fault must not cost other callers their worker
            log.failure("handling a batch of conversions failed")


class Loaded:
    """A converter version that workers know by its number. ``limited`` is it with its time limit."""

    __slots__ = (
        "breaker",
        "home",
        "in_quarantine",
        "keeps_state",
        "limited",
        "number",
        "pending",
        "remembers",
        "version",
    )

    def __init__(
        self, number: int, version: ConverterVersion, limited: ConverterVersion, home: TaskLine
    ) -> None:
        self.number = number
        self.version = version
        self.limited = limited
        self.home = home
        self.breaker = ScriptBreaker()
        self.pending = 0
        self.in_quarantine = 0
        self.keeps_state = bool(version.options.get("state"))
        self.remembers = self.keeps_state or bool(version.options.get("updateOnlyKeys"))


Task = tuple[Batch, int, Job, Loaded]


class Slots(Protocol):
    """What makes slots: the pool."""

    def __call__(self, name: str, more: Callable[[], Work | None], depth: int) -> Slot:
        """A new slot, which takes its work from ``more()``."""


class TaskLine:
    """A worker's slot with the tasks that wait for it."""

    def __init__(self, judge: Judge, slots: Slots, name: str, is_careful: bool = False) -> None:
        self.judge = judge
        self.is_careful = is_careful
        self.tasks: deque[Task] = deque()
        self.converters = 0
        self.slot: Slot = slots(name, self._more, depth=1 if is_careful else 2)

    def _more(self) -> Work | None:
        tasks = self.tasks
        taken: list[Task] = []
        size = 0
        most = 1 if self.is_careful else FRAME_CALLS
        while tasks and len(taken) < most and size < FRAME_BYTES:
            task = tasks.popleft()
            if not self.is_careful and task[3].breaker.is_suspect:
                self.judge.route(task)
                continue
            if self.is_careful and self.judge.is_refused(task):
                continue
            taken.append(task)
            size += len(task[2].payload) + len(task[2].metadata)
        return RunWork(self, taken) if taken else None


class RunWork:
    """A frame of conversions."""

    def __init__(self, line: TaskLine, tasks: list[Task]) -> None:
        self._line = line
        self._tasks = tasks
        self.patience = 5.0 + 20 * max(task[3].limited.time_limit for task in tasks)

    def frame(self, seq: int, slot: Slot) -> bytes:
        """See `iotgw.converters.slot.Work`."""
        parts = []
        calls = []
        states: dict[str, bytes] = {}
        known = slot.known
        for _, _, job, loaded in self._tasks:
            if loaded.number not in known:
                known.add(loaded.number)
                parts.append(frame(Define(loaded.number, loaded.limited)))
            place = self._state(slot, job, loaded, states) if loaded.keeps_state else ""
            calls.append(ScriptCall(loaded.number, job.payload, job.metadata, job.received_ms, place))
        parts.append(frame(Run(seq, calls, states, self._line.is_careful)))
        return b"".join(parts)

    def _state(self, slot: Slot, job: Job, loaded: Loaded, states: dict[str, bytes]) -> str:
        """The place of the state that a job uses. A state that the worker does not have is added to ``states``."""
        device = device_of(job.metadata)
        if not device:
            return ""
        version = loaded.version
        place = place_of(version.tenant, version.id, device)
        kept = self._line.judge.states.get(version.tenant, version.id, device)
        # what the worker itself has changed in a frame under way is newer, and not known here yet
        if slot.states.get(place, b"") != kept:
            slot.states[place] = states[place] = kept
        return place

    def done(self, reply: RunDone | Tried) -> None:
        """See `iotgw.converters.slot.Work`."""
        assert isinstance(reply, RunDone)
        judge = self._line.judge
        for place, state in reply.states.items():
            self._line.slot.states[place] = state
            judge.states.put(*parts_of(place), state)
        judge.meter.add(reply.spent)
        for task, conversion in zip(self._tasks, reply.results, strict=True):
            loaded = task[3]
            if self._line.is_careful:
                judge.judged(task, conversion)
            elif conversion.error is not None and conversion.error.name in LIMITS:
                judge.over_limit(task, conversion)
            else:
                loaded.pending -= 1
                task[0].settle(task[1], conversion)

    def died(self, index: int, death: Death) -> Work | None:
        """See `iotgw.converters.slot.Work`."""
        task = self._tasks[index]
        del self._tasks[index]
        self._line.judge.died(task, death, self._line.is_careful)
        return self.again()

    def again(self) -> Work | None:
        """See `iotgw.converters.slot.Work`."""
        # through the line once more: what else a suspect has to do is sent elsewhere there
        self._line.tasks.extendleft(reversed(self._tasks))
        return None


def fatal(death: Death, time_limit: float) -> ConversionError:
    """The error of a script that ended its worker."""
    if death.cause == TIME:
        return ConversionError(
            f"the script did not finish within {time_limit * 1000:.0f} ms", name="TimeLimit"
        )
    if death.cause == MEMORY:
        return ConversionError("the script needs more memory than it may have", name="MemoryLimit")
    return ConversionError(
        f"the script ended its worker: {death.cause}"
        if death.is_own
        else f"its worker ended again and again: {death.cause}",
        name="Crash",
    )
