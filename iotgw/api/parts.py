"""What the API is given: the running parts, by their interfaces. It makes none of them."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Protocol

from msgspec import Struct

from iotgw.converters.versions import ConverterVersions
from iotgw.core.model import Message, State
from iotgw.core.types import Types


class Gateway(Protocol):
    """What the API needs of `iotgw.pipeline.pipeline.Gateway`."""

    def applied(self, id: str) -> Awaitable[Any]:
        """Fires when the changes of a datasource that are under way are done."""

    def status(self, id: str) -> dict[str, Any]:
        """How a datasource does: ``{"state": "listening", …}``, ``failed`` with ``error``."""

    def datasource_name(self, id: str) -> str:
        """A datasource's name; its id when it is gone."""

    def datasource(self, id: str) -> Any:
        """The running `iotgw.core.ports.datasources.IDatasource`, or None."""

    def reprocess(self, message: Message) -> Awaitable[State]:
        """Convert a stored message again, for real; raises NotFound."""

    def inject(self, id: str, payload: bytes, metadata: dict[str, Any]) -> Awaitable[Any]:
        """Send an uplink through the true pipeline by hand."""


class Parts(Struct, frozen=True, kw_only=True):
    """The parts, each named by what it is; the interfaces are in `iotgw.core.ports`.

    ``delivery`` is the delivery service, ``clock`` an IReactorTime with ``seconds()`` since 1970,
    ``downlinks`` the queue.
    """

    registry: Any
    journal: Any
    gateway: Gateway
    converters: Any
    versions: ConverterVersions
    delivery: Any
    devices: Any
    events: Any
    datasource_types: Types
    integration_types: Types
    clock: Any
    downlinks: Any = None

    def now_ms(self) -> int:
        """The time in milliseconds since 1970."""
        return int(self.clock.seconds() * 1000)
