"""The worker program: runs users' scripts in batches, and can be killed at any time.

It imports no Twisted, knows no host object, and talks `iotgw.converters.protocol` on its stdin and stdout.
The kernel ends a call that uses too much CPU time (`iotgw.converters.cputime`, set anew before each call).
It is normally forked from a warm process (`iotgw.converters.template`); ``python -m iotgw.converters.worker``
runs one by itself.
"""

from __future__ import annotations

import mmap
import os
import resource
import sys
from collections import OrderedDict
from time import monotonic

from iotgw.converters import bench, sandbox
from iotgw.converters.call_meter import CallMeter
from iotgw.converters.careful import careful, placed
from iotgw.converters.changes import LastValues
from iotgw.converters.cputime import CpuTimer
from iotgw.converters.engines import available
from iotgw.converters.loading import HEAP, loading_time
from iotgw.converters.options import limited
from iotgw.converters.protocol import (
    BETWEEN,
    LENGTH,
    MAX_FRAME,
    NOT_CONFINED,
    OUT_OF_MEMORY,
    PROGRESS,
    PROGRESS_SIZE,
    RECYCLE,
    Define,
    Forget,
    Run,
    RunDone,
    ScriptCall,
    Tried,
    Try,
    frame,
    orders,
)
from iotgw.converters.script import LIMITS, LoadFailed, Script, load
from iotgw.core.model import Conversion, ConverterVersion

MAX_CONTEXTS = 128
"""Contexts kept; each costs a few hundred KB. The least recently used one goes first."""
STATE_BYTES = 16 << 20
"""States kept here; beyond, the worker is replaced by one that knows none."""
GRACE = 0.03
"""QuickJS stops a script at its limit by itself; the kernel waits this much longer, in CPU seconds."""
RETRY_LOADING = 1.0
"""A script that could not be made ready is tried again after this long, in seconds: trying costs 2 ms."""


SECOND_LOOKS = 8
"""Errors per frame that get a second run to find their place; finding it costs a context."""
SLOW = 0.004
"""A call this long, in seconds, may have taken much memory; a shorter one can't have."""


def _peak() -> int:
    """The most memory this process has had, in KB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


class ScriptWorker:
    """Takes orders from ``read`` and answers on ``write`` (file descriptors) until ``read`` ends.

    ``progress`` is the memory shared with the gateway, ``memory_limit`` bytes.
    """

    def __init__(self, read: int, write: int, progress: mmap.mmap, memory_limit: int) -> None:
        self._read = read
        self._write = write
        self._progress = progress
        self._peak_seen = _peak()
        self._recycle_at = self._peak_seen + memory_limit // 2048
        self._is_spent = False
        self._timer = CpuTimer()
        self._armed = (0.0, 0.0)
        self._second_looks = 0
        self._versions: dict[int, ConverterVersion] = {}
        self._scripts: OrderedDict[int, Script] = OrderedDict()
        self._failures: dict[int, tuple[LoadFailed, float]] = {}
        self._states: dict[str, bytes] = {}
        self._state_bytes = 0
        self._last_values = LastValues()
        self.engines = available()
        PROGRESS.pack_into(progress, 0, 0, BETWEEN)

    def serve(self) -> int:
        """Work until the stream ends; the exit code."""
        try:
            while (body := self._next()) is not None:
                order = orders.decode(body)
                if isinstance(order, Run):
                    self._send(self._run(order))
                elif isinstance(order, Define):
                    self._versions[order.number] = limited(order.version)
                elif isinstance(order, Try):
                    self._send(self._try(order))
                else:
                    self._forget(order)
                self._peak_seen = _peak()
                if self._is_spent or self._peak_seen > self._recycle_at:
                    return RECYCLE
        except MemoryError:
            return OUT_OF_MEMORY
        return 0

    def arm(self, seconds: float) -> None:
        """Have the kernel end this process unless it is called again within that CPU time; 0 is never."""
        self._armed = (0.0, 0.0)
        self._timer.set(seconds)

    def allow(self, seconds: float) -> float:
        """As `arm`, for calls that follow each other fast: a call gets the time and up to a tenth more.

        So a timer serves many calls. Returns the time now (`time.monotonic`), which is cheaper to look at than CPU time
        and goes at least as fast: a call that is given the rest of a timer has its limit left in it.
        """
        now = monotonic()
        until, limit = self._armed
        slack = min(seconds / 10, 0.01)
        if limit != seconds or now + seconds > until:
            self._timer.set(seconds + slack)
            self._armed = (now + seconds + slack, seconds)
        return now

    # --- orders ---

    def _run(self, run: Run) -> RunDone:
        for place, state in run.states.items():
            self._keep(place, state)
        self._second_looks = 0
        results: list[Conversion] = []
        changed: dict[str, bytes] = {}
        meter = CallMeter()
        for index, call in enumerate(run.calls):
            if call.converter != meter.number:
                meter.turn(call.converter, results)
            PROGRESS.pack_into(self._progress, 0, run.seq, index)
            results.append(self._convert(call, run.careful, changed))
        self.arm(0)
        PROGRESS.pack_into(self._progress, 0, run.seq, BETWEEN)
        meter.turn(-1, results)
        return RunDone(run.seq, results, changed, meter.spent)

    def _convert(self, call: ScriptCall, is_suspect: bool, changed: dict[str, bytes]) -> Conversion:
        version = self._versions[call.converter]
        state = (self._states.get(call.place) or b"{}") if call.place else b""
        if is_suspect:
            verdict = careful(version, call, state, self.engines, self.arm)
            if verdict is not None:
                return verdict
        try:
            script = self._script(call.converter)
        except LoadFailed as failed:
            return Conversion(error=failed.error, logs=failed.logs)
        extra = loading_time(version.length, version.dialect) if script.has_context_per_call else 0.0
        started = self.allow(self._limit(version) + extra)
        conversion, new_state = script.convert(call.payload, call.metadata, call.received_ms, state)
        if monotonic() - started > SLOW and _peak() - self._peak_seen > HEAP >> 10:
            # what it took from the system is not given back: make room for a new worker, which is told of what
            raise MemoryError
        if conversion.error is not None and conversion.error.name in LIMITS:
            self._scripts.pop(call.converter, None)  # whatever it hoards goes with its context
        if new_state:
            self._keep(call.place, new_state)
            changed[call.place] = new_state
        if conversion.error is not None and self._second_looks < SECOND_LOOKS:
            self._second_looks += 1
            conversion = placed(script, conversion, call, state, self.engines, self.arm)
        return conversion

    def _keep(self, place: str, state: bytes) -> None:
        self._state_bytes += len(place) + len(state) - len(self._states.get(place, b""))
        self._states[place] = state
        if self._state_bytes > STATE_BYTES:
            self._is_spent = True  # the gateway has them all; the next worker is given what it needs

    def _limit(self, version: ConverterVersion) -> float:
        return version.time_limit + (GRACE if version.engine == "quickjs" else 0.0)

    def _script(self, number: int) -> Script:
        script = self._scripts.get(number)
        if script is not None:
            self._scripts.move_to_end(number)
            return script
        version = self._versions[number]
        failed, at = self._failures.get(number, (None, 0.0))
        if failed is not None and monotonic() - at < RETRY_LOADING:
            raise failed
        self.arm(self._limit(version) + loading_time(version.length, version.dialect))
        try:
            script = load(version, self.engines, self._last_values.of(version))
        except LoadFailed as error:
            self._failures[number] = (error, monotonic())
            raise
        self._scripts[number] = script
        if len(self._scripts) > MAX_CONTEXTS:
            self._scripts.popitem(last=False)
        return script

    def _try(self, order: Try) -> Tried:
        PROGRESS.pack_into(self._progress, 0, order.seq, 0)
        body = bench.attempt(order.what, order.body, self.engines, self.arm)
        self.arm(0)
        PROGRESS.pack_into(self._progress, 0, order.seq, BETWEEN)
        return Tried(order.seq, body)

    def _forget(self, order: Forget) -> None:
        self._versions.pop(order.number, None)
        self._scripts.pop(order.number, None)
        self._failures.pop(order.number, None)

    # --- the stream ---

    def _next(self) -> bytes | None:
        head = self._exactly(LENGTH.size)
        if head is None:
            return None
        (length,) = LENGTH.unpack(head)
        return self._exactly(length) if length <= MAX_FRAME else None

    def _exactly(self, count: int) -> bytes | None:
        parts = []
        while count:
            part = os.read(self._read, min(count, 1 << 20))
            if not part:
                return None
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def _send(self, reply: RunDone | Tried) -> None:
        left = memoryview(frame(reply))
        while left:
            left = left[os.write(self._write, left) :]


def serve_confined(worker: ScriptWorker, memory_limit: int, is_unconfined: bool) -> int:
    """Lock the process down and work; the exit code. Without the seccomp filter nothing is run, unless
    ``is_unconfined``."""
    if not sandbox.lock_down(memory_limit).seccomp and not is_unconfined:
        return NOT_CONFINED
    return worker.serve()


def main(arguments: list[str]) -> int:
    """Run one worker on stdin and stdout; the memory limit in bytes and ``unconfined`` may be given."""
    memory_limit = int(arguments[0]) if arguments else 256 << 20
    progress = mmap.mmap(-1, PROGRESS_SIZE)
    worker = ScriptWorker(0, 1, progress, memory_limit)
    return serve_confined(worker, memory_limit, "unconfined" in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
