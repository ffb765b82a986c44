"""What goes to the log with a traceback, also because nobody handled it."""

import gc
from contextlib import contextmanager

from twisted.logger import globalLogPublisher


@contextmanager
def logged():
    """A list of failures, which is whole at the end of the context."""
    found = []

    def observe(event):
        if "log_failure" in event:
            found.append(event["log_failure"])

    globalLogPublisher.addObserver(observe)
    try:
        yield found
        gc.collect()  # a Deferred tells of its failure when it goes
    finally:
        globalLogPublisher.removeObserver(observe)
