"""What is asked of an OPC UA server, and what it says: values that the reactor's thread and the asyncio thread exchange."""

from __future__ import annotations

from typing import Any, Literal, Protocol

from msgspec import Struct

Policy = Literal["none", "Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss"]
Mode = Literal["sign", "signAndEncrypt"]


class OpcuaPlan(Struct, frozen=True, kw_only=True):
    """What to connect to and what to read. Times are in seconds; ``deadband`` is 0 for none, in percent of a variable's range
    if ``is_percent``. Certificates and keys are PEM text."""

    url: str
    username: str = ""
    password: str = ""
    policy: Policy = "none"
    mode: Mode = "signAndEncrypt"
    certificate: str = ""
    key: str = ""
    server_certificate: str = ""
    application_uri: str = ""
    nodes: tuple[str, ...] = ()
    browse: tuple[str, ...] = ()
    depth: int = 8
    most: int = 1000
    publishing: float = 1.0
    sampling: float = 1.0
    queue_size: int = 10
    deadband: float = 0.0
    is_percent: bool = False
    timeout: float = 5.0
    longest_wait: float = 60.0


class Sample(Struct, frozen=True):
    """One value of a variable. ``device`` and ``device_id`` are the object that has it, by name and by node id. Dates are in ms
    since 1970. ``is_lossy``: values before it were lost in the server's queue."""

    node: str
    name: str
    device: str
    device_id: str
    value: Any
    source_ms: int | None
    server_ms: int | None
    status: str
    is_lossy: bool = False


class Bad(Struct, frozen=True):
    """A value that can't be used, and why: the server's status, or a form that JSON doesn't have."""

    node: str
    name: str
    device: str
    why: str


class Done(Struct, frozen=True):
    """What became of a write or a call: ``read`` is what the server gives back, or the method's results."""

    became: Literal["delivered", "refused", "lost"]
    reason: str = ""
    read: dict[str, Any] | None = None


class OpcuaOwner(Protocol):
    """Who uses a session. All is called in the reactor's thread."""

    def on_up(self, variables: int) -> None:
        """Connected, with so many variables subscribed to."""

    def on_lost(self, reason: str) -> None:
        """Not connected, or no longer."""

    def on_trouble(self, reason: str) -> None:
        """A problem that ends nothing."""

    def on_values(self, values: list[Sample | Bad]) -> None:
        """Values, in the order in which they came."""
