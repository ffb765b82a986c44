"""The reactor's threads, for what would take too long in its own."""

from __future__ import annotations

from twisted.internet.threads import deferToThreadPool

from iotgw.core.ports.reactor import InThread, IReactor


def in_threads(reactor: IReactor) -> InThread:
    """What runs a function in one of the reactor's threads."""
    return lambda function, *arguments: deferToThreadPool(
        reactor, reactor.getThreadPool(), function, *arguments
    )
