"""The base of all suites: the part under test, and how to wait for it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import cached_property
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from iotgw.testing.ports import verify_ports
from iotgw.testing.reactor import clock
from iotgw.testing.results import fired
from iotgw.testing.threads import ThreadClock

Part = TypeVar("Part")
T = TypeVar("T")
E = TypeVar("E", bound=BaseException)


class Contract(Generic[Part]):
    """A suite for one port. Subclass it as ``Test…``, make the part in `open`, and let pytest find it.

    Each test has a `part` of its own, opened when it first asks for it and closed at its end; `reopen` closes it and
    opens the next on the same storage. For a part whose Deferreds fire later, from threads or a network,
    override `wait` and `until`.
    """

    _opened: Part | None = None

    def open(self) -> Part:
        """Make a started part on this test's storage, with the data of this test's earlier parts."""
        raise NotImplementedError("override this in the suite's subclass")

    def close(self, part: Part) -> None:
        """Stop a part; by default there is nothing to do."""

    @cached_property
    def clock(self) -> Clock:
        """The clock that the part is given."""
        return clock()

    def wait(self, result: Deferred[T] | Coroutine[Deferred[Any], Any, T]) -> T:
        """The result of a Deferred or a coroutine; raises its failure."""
        return fired(result)

    def until(self, happened: Callable[[], object]) -> None:
        """Let time pass, as little as possible, until a condition holds."""
        for _ in range(1_000):
            if happened():
                return
            self.clock.advance(0)
        raise AssertionError("the condition never became true")

    @property
    def part(self) -> Part:
        """The part under test."""
        if self._opened is None:
            self._opened = self.open()
        return self._opened

    def ready(self) -> None:
        """Open the part, for a test that doesn't use it at first."""
        assert self.part is not None

    def reopen(self) -> Part:
        """Close the part, and open the next on the same storage."""
        self.teardown_method()
        return self.part

    def teardown_method(self) -> None:
        """Close the part; pytest calls this after each test, whatever came of it."""
        opened, self._opened = self._opened, None
        if opened is not None:
            self.close(opened)

    def test_it_keeps_its_port(self) -> None:
        assert verify_ports(self.part)

    # --- for tests ---

    @property
    def now_ms(self) -> int:
        """The clock's time in milliseconds."""
        return int(self.clock.seconds() * 1000)

    def raises(self, error: type[E], call: Callable[[], object]) -> E:
        """The error that a call raises, or that its Deferred or coroutine fails with."""
        try:
            result = call()
            if isinstance(result, Deferred | Coroutine):
                result = self.wait(result)
        except error as raised:
            return raised
        raise AssertionError(f"expected {error.__name__}, got {result!r}")


class Threaded(Contract[Part]):
    """A mixin before a suite, for a part whose Deferreds fire from threads by ``callFromThread``."""

    @cached_property
    def clock(self) -> ThreadClock:
        """The clock that the part is given, with ``callFromThread``."""
        return ThreadClock()

    def wait(self, result: Deferred[T] | Coroutine[Deferred[Any], Any, T]) -> T:
        """The result of a Deferred or a coroutine; raises its failure."""
        return self.clock.wait(result)

    def until(self, happened: Callable[[], object]) -> None:
        """Let threads work until a condition holds."""
        self.clock.until(happened)
