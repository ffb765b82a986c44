"""How long a test waits: by what happens, not by the clock on the wall.

On a busy machine a program that would need half a second waits ten for its turn. So seconds count only while nobody of
ours has anything to do: while this process and those that it started neither run, nor wait for a processor or a disk.
What has come to a halt is found out in the time that a test gives; what works on has until `CEILING`.
"""

import os
import time
from pathlib import Path

CEILING = 300.0
"""Seconds on the clock after which the busiest program has failed."""
HANGS = 120.0
"""Seconds for one exchange with a program, a command or a thread: what takes longer than this hangs, on any machine. It costs
nothing where the exchange succeeds."""
LOOK = 0.25
"""Seconds between two looks at what the processes do."""


def descendants(pid):
    """The processes that it has started, and theirs."""
    found = [pid]
    for each in found:
        for _, children in _tasks(each, "children"):
            found += map(int, children.split())
    return found[1:]


def _tasks(pid, name):
    """A file of each thread of a process; threads and processes that end meanwhile have none."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return
    for task in tasks:
        try:
            yield task.name, (task / name).read_text()
        except OSError:
            continue


def own_time():
    """Seconds of a clock that stands still while this thread waits for a processor: that is the machine's affair."""
    waited = Path("/proc/thread-self/schedstat").read_text().split()[1]  # ns
    return time.monotonic() - int(waited) / 1e9


class Patience:
    """``is_over`` is True once nobody had anything to do for ``seconds``, or when ``ceiling`` is reached."""

    def __init__(self, seconds, ceiling=CEILING, clock=time.monotonic):
        self.seconds = seconds
        self._clock = clock
        self._begin = self._last = clock()
        self._ceiling = max(ceiling, seconds)
        self._idle = 0.0
        self._threads = {}
        self._work()

    def is_over(self):
        now = self._clock()
        if now - self._last >= min(LOOK, self.seconds):
            self._idle += max(0.0, now - self._last - self._work())
            self._last = now
        return self._idle > self.seconds or now - self._begin > self._ceiling

    def __str__(self):
        return f"{self._clock() - self._begin:.0f} s ({self._idle:.0f} s of them nothing was done)"

    def _work(self):
        """Seconds since the last look in which threads ran, or waited for a processor."""
        threads = {}
        work = 0.0
        for pid in [os.getpid(), *descendants(os.getpid())]:
            for thread, text in _tasks(pid, "schedstat"):
                ran, waited, _ = text.split()  # ns: Linux, Documentation/scheduler/sched-stats.rst
                threads[thread] = (int(ran) + int(waited)) / 1e9
                before = self._threads.get(thread, 0.0) if self._threads else threads[thread]
                work += threads[thread] - before
            work += LOOK * any(text.rpartition(")")[2].split()[0] == "D" for _, text in _tasks(pid, "stat"))
        self._threads = threads
        return work
