"""The reactor as the rooms see it: time, connections, datagrams, threads. The clock of a test is an `IReactorTime` only."""

from __future__ import annotations

from twisted.internet.interfaces import (
    IReactorCore,
    IReactorFDSet,
    IReactorMulticast,
    IReactorPluggableNameResolver,
    IReactorProcess,
    IReactorSocket,
    IReactorTCP,
    IReactorThreads,
    IReactorTime,
    IReactorUDP,
)


class IReactor(
    IReactorCore,
    IReactorTime,
    IReactorTCP,
    IReactorUDP,
    IReactorMulticast,
    IReactorFDSet,
    IReactorProcess,
    IReactorSocket,
    IReactorThreads,
    IReactorPluggableNameResolver,
):
    """What Twisted's reactors on Linux can do."""
