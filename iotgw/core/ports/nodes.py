"""The nodes of a gateway: the processes that work on one database. Where the data is in files, there is one."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

NodeState = Literal["up", "draining", "drained", "stopped", "dead"]
"""``drained``: it takes no more messages, and nothing waits on it. ``stopped``: it ended in order. ``dead``: it wasn't heard of for longer than
the lease."""


class NodeView(Struct, frozen=True, rename="camel"):
    """A node."""

    name: Annotated[str, Meta(description="Its name.")]
    partition: Annotated[int, Meta(description="The number of its partition.")]
    state: Annotated[NodeState, Meta(description="Whether it works.")]
    heard: Annotated[float, Meta(description="Seconds since it was heard of.")]
    version: Annotated[str, Meta(description="Which version of the gateway runs there.")]
    held_by: Annotated[str, Meta(description="The node that works on its partition now; empty for nobody.")]
    waiting: Annotated[int, Meta(description="Messages that wait for a conversion, as it says itself.")] = 0
    undelivered: Annotated[
        int, Meta(description="Messages that wait for integrations, as it says itself.")
    ] = 0
    adopted: Annotated[
        list[str], Meta(description="The nodes on whose partitions it works besides its own.")
    ] = []
    leases: Annotated[
        list[str], Meta(description="What only one node may do at a time, and this one does.")
    ] = []
    delivers: Annotated[
        list[str],
        Meta(description="The integrations to which it delivers the messages of all nodes."),
    ] = []


class Sums(Struct, frozen=True, rename="camel"):
    """The accounts of an integration, summed over so many ``partitions``: queued = delivered + expired + dead + dropped + waiting. Each partition's
    are those of its last commit."""

    partitions: int
    queued: int = 0
    delivered: int = 0
    expired: int = 0
    dead: int = 0
    dropped: int = 0
    waiting: int = 0


class INodes(Interface):
    """The nodes, as one of them sees them."""

    name: str = Attribute("this process's")

    def list() -> builtins.list[NodeView]:
        """All of them by name, as of the last look, which is at most a second or so old."""

    def accounts(id: str) -> Deferred[Sums | None]:
        """The accounts of an integration (by id) in all partitions; None where there is one node alone, which has them itself."""

    def drain(name: str, drains: bool) -> Deferred[None]:
        """Have a node take no more messages, or take them again. Fires when that is decided; raises NotFound."""


class ILeases(Interface):
    """What may run on one node at a time."""

    def seek(what: str, changed: Callable[[], Any], stays: bool = False) -> None:
        """This node would run it. ``changed`` is called when `holds` changes. With ``stays``, also while it drains, if there is no other node that could."""

    def holds(what: str) -> bool:
        """Whether this node is to run it now."""

    def give_up(what: str) -> None:
        """This node runs it no more, and won't."""


def lease_of(integration: str) -> str:
    """What the lease of a `single` integration (by id) is called."""
    return f"integration/{integration}"
