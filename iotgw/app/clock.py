"""Has the reactor run on the gateway's time."""

from __future__ import annotations

from twisted.internet import base
from twisted.internet.interfaces import IReactorTime

from iotgw.core.clock import GatewayClock


def run_on(reactor: IReactorTime, clock: GatewayClock) -> None:
    """Timers of ``reactor`` follow ``clock`` from now on.

    Twisted's reactors take ``time.time`` (`twisted.internet.base.ReactorBase.seconds`): when somebody sets the machine's clock
    back by an hour, every timer is an hour late. All that reads a reactor's time does so by this one method: ``callLater``,
    ``DelayedCall.reset``, ``LoopingCall``, and the time until the next call is due. What twistd has scheduled before keeps its distance.
    """
    before = reactor.seconds()
    reactor.seconds = clock.seconds  # type: ignore[method-assign]
    for call in reactor.getDelayedCalls():
        left = max(0.0, call.getTime() - before)
        if isinstance(call, base.DelayedCall):
            call.seconds = clock.seconds
        call.reset(left)
