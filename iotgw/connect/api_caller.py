"""Calls another system's API, one call after another: pooled, with a login where it needs one, and put off while the system
is away.

A call waits here until it is answered for good. While the breaker is open, and while the login fails, nothing is sent; then
the oldest call is the probe.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Literal, Protocol

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from iotgw.connect.http_pool import HttpPool
from iotgw.core.backoff import Backoff
from iotgw.core.breaker import Breaker
from iotgw.core.specs import RetrySpec
from iotgw.wire.http1 import Response

MOST = 10_000
"""Calls that may wait."""
BACKOFF = RetrySpec(initial=2.0, cap=300.0)

Verdict = Literal["done", "failed", "later", "denied"]
"""What became of a call. ``done``: it is over, and the system works. ``failed``: it is over, but the system may be ill.
``later``: the system takes nothing now. ``denied``: it doesn't take our token."""


class Authority(Protocol):
    """What proves who calls: a header that may have to be fetched. `iotgw.connect.http_auth` has others."""

    header: bytes

    def ready(self) -> bool:
        """Whether the header is there and counts."""

    def refresh(self, done: Callable[[str], None]) -> None:
        """Fetch it; calls ``done("")``, or ``done`` with the reason why there is none."""

    def refused(self) -> None:
        """The other system didn't take it."""

    def close(self) -> None:
        """No more calls."""


class WaitingCall(Struct, eq=False):
    """A call. ``data(header)`` are its bytes with the authority's header; ``judge(response, reason)`` says what became of it,
    and for how many seconds nothing more should be sent, if the other system said so. ``is_wanted()`` is asked before it is
    sent. ``dropped()`` is called instead of ``judge`` when the caller stops before it was sent."""

    data: Callable[[bytes], bytes]
    judge: Callable[[Response | None, str], tuple[Verdict, float | None]]
    is_wanted: Callable[[], bool]
    dropped: Callable[[], None]
    denials: int = 0


class ApiCaller:
    """The calls of one API. ``works_again()`` is called when something failed before and may go now."""

    def __init__(
        self,
        clock: IReactorTime,
        pool: HttpPool,
        authority: Authority,
        works_again: Callable[[], None],
        backoff: Backoff | None = None,
    ) -> None:
        self._clock = clock
        self._pool = pool
        self._authority = authority
        self._works_again = works_again
        self._backoff = backoff or Backoff(BACKOFF)
        self._breaker = Breaker(self._backoff)
        self._waiting: deque[WaitingCall] = deque()
        self._under_way = 0
        self._is_logging_in = False
        self._is_stopped = False
        self._timer: IDelayedCall | None = None
        self._owes = 0
        """How many calls failed since `works_again` was called last."""
        self.problem = ""
        """Why the last call didn't succeed, or no token was had; empty while all is well."""

    @property
    def has_room(self) -> bool:
        """Whether one more call may wait."""
        return not self._is_stopped and len(self._waiting) < MOST

    @property
    def waiting(self) -> int:
        """How many calls wait or are under way."""
        return len(self._waiting) + self._under_way

    @property
    def state(self) -> str:
        """The breaker's."""
        return self._breaker.state

    def call(self, call: WaitingCall) -> None:
        """Make a call as soon as it can be made."""
        self._waiting.append(call)
        self._pump()

    def owe(self) -> None:
        """Something was turned away: call `works_again` when there is room."""
        self._owes += 1

    def stop(self) -> Deferred[Any]:
        """End: what waits is dropped, what is under way is judged as unanswered."""
        self._is_stopped = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._authority.close()
        waiting, self._waiting = self._waiting, deque()
        for call in waiting:
            call.dropped()
        return self._pool.close()

    # --- sending ---

    def _pump(self) -> None:
        while self._waiting and not self._is_stopped and not self._is_logging_in and self._pool.spare:
            if not self._breaker.allows(self._clock.seconds()):
                self._look_at(self._breaker.retry_at)
                return
            if self._breaker.state == "half-open" and self._under_way:
                return  # the probe is under way
            if not self._waiting[0].is_wanted():
                self._waiting.popleft()
            elif not self._authority.ready():
                self._is_logging_in = True
                self._authority.refresh(self._logged_in)
            else:
                self._send(self._waiting.popleft())
        if not self._waiting and not self._under_way and self._owes and not self._is_stopped:
            self._look_at(max(self._breaker.retry_at, self._clock.seconds() + self._backoff.after(1)))

    def _logged_in(self, problem: str) -> None:
        self._is_logging_in = False
        if problem and not self._is_stopped:
            self.problem = problem
            self._breaker.failed(self._clock.seconds(), 0.0)
        self._pump()

    def _send(self, call: WaitingCall) -> None:
        self._under_way += 1

        def answered(response: Response | None, reason: str) -> None:
            self._under_way -= 1
            self._judged(call, response, reason)
            self._pump()

        self._pool.request(call.data(self._authority.header), answered)

    def _judged(self, call: WaitingCall, response: Response | None, reason: str) -> None:
        verdict, after = call.judge(response, reason)
        now = self._clock.seconds()
        if self._is_stopped:
            if verdict in ("later", "denied"):
                call.dropped()
        elif verdict == "done":
            self.problem = ""
            if self._breaker.succeeded():
                self._owes += 1
        elif verdict == "failed":
            self._owes += 1
            self._breaker.failed(now, after)
        elif verdict == "denied" and not call.denials:
            call.denials += 1
            self._authority.refused()
            self._waiting.appendleft(call)
        else:
            call.denials = 0
            self._breaker.failed(now, after or 0.0)
            self._waiting.appendleft(call)

    def _look_at(self, seconds: float) -> None:
        """Look again at a time of the clock."""
        if self._timer is not None and self._timer.active():
            if self._timer.getTime() <= seconds:
                return
            self._timer.cancel()
        self._timer = self._clock.callLater(max(0.0, seconds - self._clock.seconds()), self._look)

    def _look(self) -> None:
        self._timer = None
        self._pump()
        if self._owes and not self._waiting and not self._under_way and not self._is_stopped:
            self._owes = 0
            self._works_again()
