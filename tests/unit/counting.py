"""How much work a piece of code does, counted: the same on every machine and at every load."""

import contextlib
import sys


class Calls:
    """Calls of Python's and of C's functions so far."""

    def __init__(self):
        self.made = 0


@contextlib.contextmanager
def counted():
    """Counts the calls that are made within, also where it ends by an exception."""
    calls = Calls()

    def count(frame, event, arg):
        if event in ("call", "c_call"):
            calls.made += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        yield calls
    finally:
        sys.setprofile(before)


@contextlib.contextmanager
def at_most(calls):
    """Fails where more calls are made within, also where it ends by an exception."""
    with counted() as count:
        try:
            yield
        finally:
            assert count.made <= calls
