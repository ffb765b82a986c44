"""What the suites have in common: a part under test, and how to wait for it."""

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
    """A suite for one port: subclass it as ``Test…``, say in `open` how a part is made, and let pytest find it.

    Each test has a `part` of its own, opened when it first asks for it and closed at its end; `reopen` closes it and
    opens the next on the same storage. A part whose Deferreds fire later, from threads or a network, says in `wait` and
    `until` how to get there.
    """

    _opened: Part | None = None

    def open(self) -> Part:
        """A started part on this test's storage: what an earlier one of this test has left is there."""
        raise NotImplementedError("the suite's subclass says how its part is made")

    def close(self, part: Part) -> None:
        """Stop a part; there is nothing to do for one without a life of its own."""

    @cached_property
    def clock(self) -> Clock:
        """The clock that the part is given."""
        return clock()

    def wait(self, result: Deferred[T] | Coroutine[Deferred[Any], Any, T]) -> T:
        """The result of a Deferred or a coroutine; raises its failure."""
        return fired(result)

    def until(self, happened: Callable[[], object]) -> None:
        """Let time pass, as little as possible, until something is so."""
        for _ in range(1_000):
            if happened():
                return
            self.clock.advance(0)
        raise AssertionError("waited in vain")

    @property
    def part(self) -> Part:
        """The part under test."""
        if self._opened is None:
            self._opened = self.open()
        return self._opened

    def ready(self) -> None:
        """Open the part, for a test that begins with something beside it."""
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
    """Before a suite, for a part whose Deferreds fire from threads by ``callFromThread``."""

    @cached_property
    def clock(self) -> ThreadClock:
        """The clock that the part is given, with ``callFromThread``."""
        return ThreadClock()

    def wait(self, result: Deferred[T] | Coroutine[Deferred[Any], Any, T]) -> T:
        """The result of a Deferred or a coroutine; raises its failure."""
        return self.clock.wait(result)

    def until(self, happened: Callable[[], object]) -> None:
        """Let threads work until something is so."""
        self.clock.until(happened)
