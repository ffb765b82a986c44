"""How long the machine kept the gateway from its work.

The gateway promises to repeat no more than what it delivered in the last fractions of a second. That is time in which it
could run. On a busy machine it waits for a processor or a disk meanwhile, and so do the servers that answer it. So the
harness notes how long they waited, and the promise is held against the rest.
"""

import threading
import time
from collections import deque

from tests.peers.patience import _tasks, descendants

EVERY = 0.04
KEPT = 400


def is_stopped(pid):
    """Whether each thread of a process stands still, or the process has ended."""
    return all(text.rpartition(")")[2].split()[0] in "TZX" for _, text in _tasks(pid, "stat"))


class Stalls:
    """Looks at processes until `close`; `of` are those that count now."""

    def __init__(self):
        self.of = ()
        self._looks = deque(maxlen=KEPT)
        self._threads = {}
        self._waited = 0.0
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._over.wait(EVERY):
            self.look()

    def look(self):
        """Take in what they have waited until now. The kernel counts a wait for a processor when it is over."""
        with self._lock:
            self._look()

    def _look(self):
        now = time.time()
        waited = 0.0
        threads = {}
        for root in self.of:
            for pid in (root, *descendants(root)):
                for thread, text in _tasks(pid, "schedstat"):
                    threads[thread] = int(text.split()[1]) / 1e9
                    waited += max(0.0, threads[thread] - self._threads.get(thread, threads[thread]))
                if any(text.rpartition(")")[2].split()[0] == "D" for _, text in _tasks(pid, "stat")):
                    waited += now - self._looks[-1][0] if self._looks else 0.0
        self._threads = threads
        self._waited += waited
        self._looks.append((now, self._waited))

    def window(self, at, own, most):
        """Seconds before ``at`` in which the gateway had ``own`` seconds to run, at most ``most``."""
        looks = [look for look in list(self._looks) if look[0] <= at]
        if not looks:
            return most
        end = looks[-1][1]
        for when, waited in reversed(looks):
            if at - when - (end - waited) >= own or at - when > most:
                return min(most, at - when)
        return most

    def close(self):
        self._over.set()
        self._thread.join()
