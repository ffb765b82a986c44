"""File descriptors that are kept back from devices, so that an operator still gets in when connections have taken the rest.

The system gives each new file or connection the lowest free number (POSIX, `open` and `accept`). So when that is among the
highest ones, nothing below is free. A listener for devices then closes a new connection at once, in its ``buildProtocol``:
a connection that is aborted later would hold its descriptor until the reactor's next turn, and a burst of them would take
all there are. The API's listener goes on, and so does what the gateway opens itself.
"""

from __future__ import annotations

import os
import resource

KEPT = 32
"""How many are kept: most of them for the API's listener, the others for files, workers and targets."""


def limit() -> int:
    """How many files and connections the process may have open; 0 is no limit."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 0 if soft == resource.RLIM_INFINITY else soft


def kept(most: int) -> int:
    """How many of so many are kept."""
    return min(KEPT, most // 4)


def are_few() -> bool:
    """Whether none is left but those that are kept. Takes some microseconds."""
    most = limit()
    if most == 0:
        return False
    try:
        lowest = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return True
    os.close(lowest)
    return lowest >= most - kept(most)
