"""The reactor as the rooms see it: time, connections, datagrams, threads. A test's clock is only an
`IReactorTime`."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
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
from zope.interface import Interface

InThread = Callable[..., Deferred[Any]]
"""``in_thread(function, *args)`` runs a function in one of the reactor's threads; fires with its result."""


class IThreadedClock(IReactorTime, IReactorThreads):
    """Time, and calls from threads: what the stores need of a reactor."""


class IReactor(
    IThreadedClock,
    IReactorCore,
    IReactorTCP,
    IReactorUDP,
    IReactorMulticast,
    IReactorFDSet,
    IReactorProcess,
    IReactorSocket,
    IReactorPluggableNameResolver,
):
    """What Twisted's reactors on Linux can do."""


class IBoundPorts(Interface):
    """A reactor whose process has its ports together with others: what they share is bound elsewhere."""

    def bound_udp(interface: str, port: int) -> socket.socket:
        """A bound UDP socket, which is this process's. Raises OSError."""

    def unbound_udp(interface: str, port: int) -> None:
        """It is closed here."""
