"""A gateway that has its data for itself."""

from __future__ import annotations

import builtins
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from iotgw import __version__
from iotgw.core.errors import NotFound, SettingsError
from iotgw.core.ports.nodes import ILeases, INodes, NodeView, Sums


@implementer(INodes, ILeases)
class OneNode:
    """It is named as the machine, and runs all."""

    def __init__(self) -> None:
        self.name = socket.gethostname()

    def list(self) -> builtins.list[NodeView]:
        """See `INodes.list`."""
        return [NodeView(self.name, 1, "up", 0.0, __version__, self.name)]

    def accounts(self, id: str) -> Deferred[Sums | None]:
        """See `INodes.accounts`."""
        return succeed(None)

    def drain(self, name: str, drains: bool) -> Deferred[None]:
        """See `INodes.drain`: there is nobody who could go on."""
        if name != self.name:
            return fail(NotFound(f"there is no node {name!r}"))
        return fail(
            SettingsError("node", "expected one of several nodes: nobody else would take the messages")
        )

    def seek(self, what: str, changed: Callable[[], Any], stays: bool = False) -> None:
        """See `ILeases.seek`."""

    def holds(self, what: str) -> bool:
        """See `ILeases.holds`: always."""
        return True

    def give_up(self, what: str) -> None:
        """See `ILeases.give_up`."""
