"""What a bootstrap server writes to a device (Core 1.1.1 §6.1, §E.1, §E.2): where its servers are, and how it proves itself there."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from msgspec import Struct

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import Message, options
from iotgw.wire.lwm2m import formats
from iotgw.wire.lwm2m.node import Node
from iotgw.wire.lwm2m.paths import Path

SECURITY, SERVER = 0, 1
MODES = {"psk": 0, "x509": 2, "none": 3}
"""Of the Security Mode (0/x/2)."""
Mode = Literal["psk", "x509", "none"]
PREFERRED = frozenset((formats.TLV, formats.SENML_CBOR, formats.SENML_JSON))
"""Formats of a whole instance that a device may prefer (``pct``)."""


class Account(Struct, frozen=True):
    """A server of a device. ``identity`` is the PSK identity, or the device's certificate (DER), ``key`` its secret (PKCS #8 of a certificate's),
    ``server`` the server's certificate. ``lifetime`` is in seconds."""

    uri: str
    short_id: int
    mode: Mode = "none"
    identity: bytes = b""
    server: bytes = b""
    key: bytes = b""
    lifetime: int = 86_400
    binding: str = "U"
    stores: bool = True
    """Whether it keeps notifications while it is offline."""


def security(account: Account, instance: int) -> list[Node]:
    """The Security object's instance. Empty keys are written too, as some devices refuse an instance without them."""
    base: Path = (SECURITY, instance)
    values = (
        (0, account.uri), (1, False), (2, MODES[account.mode]), (3, account.identity), (4, account.server),
        (5, account.key), (10, account.short_id),
    )  # fmt: skip
    return [Node((*base, id), value) for id, value in values]


def server(account: Account, instance: int) -> list[Node]:
    """The Server object's instance."""
    base: Path = (SERVER, instance)
    values = ((0, account.short_id), (1, account.lifetime), (6, account.stores), (7, account.binding))
    return [Node((*base, id), value) for id, value in values]


def format_for(preferred: int | None) -> int:
    """The format in which a device is written to, by what it prefers."""
    return preferred if preferred in PREFERRED else formats.TLV


def discover() -> Message:
    """Which objects it has (Bootstrap-Discover)."""
    return Message(n.GET, b"", options((n.ACCEPT, n.LINK_FORMAT)))


def delete(object: int) -> Message:
    """Remove all instances of an object; that of the bootstrap server stays (§6.1.7.6)."""
    return Message(n.DELETE, b"", options((n.URI_PATH, str(object))))


def write(nodes: list[Node], form: int) -> Message:
    """Write an instance."""
    base = nodes[0].path[:2]
    where = [(n.URI_PATH, str(id)) for id in base]
    return Message(n.PUT, formats.encode(form, nodes, base), options(*where, (n.CONTENT_FORMAT, form)))


def finish() -> Message:
    """That was all (Bootstrap-Finish)."""
    return Message(n.POST, b"", options((n.URI_PATH, "bs")))


def writes(accounts: Collection[Account], taken: Collection[int], form: int) -> list[tuple[str, Message]]:
    """The instances of these servers, named for people. ``taken`` are Security instances that the device has already, such as that of its
    bootstrap server."""
    free = iter(id for id in range(1, 65535) if id not in taken)
    found = []
    for number, account in enumerate(accounts):
        instance = next(free)
        found.append((f"/0/{instance}", write(security(account, instance), form)))
        found.append((f"/1/{number}", write(server(account, number), form)))
    return found
