"""An item of the downlink queue, and the states of its life. Pure values; no clock, no I/O."""

from __future__ import annotations

import base64
import enum
import hashlib
import secrets
from typing import Any, Literal

import msgspec
from msgspec import Struct, UnsetType

from iotgw.core.errors import SettingsError
from iotgw.core.specs import DownlinkSpec

ContentType = Literal["JSON", "TEXT", "BINARY"]
"""How the bytes of a downlink are encoded."""


OFFERED = "offered to the network"
"""The reason of an item that a network has, and has said nothing of."""


class ItemState(enum.Enum):
    """ThingsBoard's RPC states. QUEUED, SENT and DELIVERED are open; the others are final."""

    QUEUED = "QUEUED"
    SENT = "SENT"
    DELIVERED = "DELIVERED"
    SUCCESSFUL = "SUCCESSFUL"
    TIMEOUT = "TIMEOUT"
    EXPIRED = "EXPIRED"
    FAILED = "FAILED"
    DELETED = "DELETED"

    @property
    def final(self) -> bool:
        """Whether nothing more happens to an item in this state."""
        return self not in _OPEN


_OPEN = frozenset({ItemState.QUEUED, ItemState.SENT, ItemState.DELIVERED})


def payload(spec: DownlinkSpec) -> bytes | None:
    """The bytes of an item's ``data``; None where there are none. Raises SettingsError."""
    if isinstance(spec.data, UnsetType):
        return None
    if spec.content_type != "BINARY":
        return spec.data.encode()
    try:
        return base64.b64decode(spec.data, validate=True)
    except ValueError as error:
        raise SettingsError("data", f"expected base64: {error}") from error


class Item(Struct, frozen=True, gc=False):
    """An item of a device's queue; every change is a new value. ``seq`` orders items of one priority."""

    id: str
    seq: int
    tenant: str
    device: str
    spec: DownlinkSpec
    state: ItemState
    created_ms: int
    updated_ms: int
    expires_ms: int
    attempts: int = 0
    reason: str = ""
    response: Any = None
    result: dict[str, Any] | None = None  # the device's answer to its push
    is_with_network: bool = False
    """Whether a network has it, which goes on trying by itself until it says what became of it."""
    network: str = ""
    """What a network calls the item, with the datasource's id before it. Where its answer gave no name: the device's identity, behind a
    slash. Empty before it was offered to one."""
    job: str = ""
    """The job that queued it for one of several devices; empty if none did."""

    @property
    def order(self) -> tuple[int, int]:
        """Sorts a queue: priority first, then age."""
        return (-self.spec.priority, self.seq)

    def change(self, state: ItemState, now_ms: int, reason: str = "", **more: Any) -> Item:
        """The item in another state."""
        return msgspec.structs.replace(self, state=state, updated_ms=now_ms, reason=reason, **more)

    def view(self) -> dict[str, Any]:
        """The item as the API shows it."""
        shown: dict[str, Any] = msgspec.to_builtins(self.spec)
        return {
            "id": self.id, "device": self.device, "state": self.state.value, "createdAt": self.created_ms,
            "updatedAt": self.updated_ms, "expiresAt": self.expires_ms, "attempts": self.attempts,
            "reason": self.reason, "response": self.response, "result": self.result, "job": self.job, **shown,
        }  # fmt: skip


def new_id() -> str:
    """An id that no other item has. Its last digit is 0: networks that take 64 bits for a name have the attempt there."""
    return f"dl{secrets.token_hex(8)[:15]}0"


def id_in_job(job: str, tenant: str, device: str) -> str:
    """The id of the item that a job queues for a device: the same whenever the job asks again, so that it is queued once."""
    said = msgspec.json.encode((job, tenant, device))
    return f"dl{hashlib.sha256(said).hexdigest()[:15]}0"


SAME = 16
"""Attempts after which one may have the name of an earlier one."""


def attempt_name(id: str, attempt: int) -> str:
    """What an attempt at an item is called, counted from 1."""
    return id if attempt == 1 else f"{id}.{attempt}"


def attempt_of(name: str) -> tuple[str, int]:
    """The item's id, and which attempt it is."""
    id, _, attempt = name.partition(".")
    return id, int(attempt) if attempt.isdecimal() else 1


def place_of(attempt: int, item: Item) -> Literal["latest", "next", "earlier"]:
    """Whether an attempt is the item's latest one, as far as its name tells, or 0 as it has none; the next one, which may be under way; or an
    earlier one."""
    if not attempt or (attempt - item.attempts) % SAME == 0:
        return "latest"
    is_next = item.state is ItemState.QUEUED and (attempt - item.attempts) % SAME == 1
    return "next" if is_next else "earlier"


Step = Literal["sent", "offered", "delivered", "lost", "successful", "failed"]
"""What can happen to an item: the first four are about its bytes, the last two are a device's receipt."""

TRANSITIONS: dict[tuple[ItemState, Step], ItemState] = {
    (ItemState.QUEUED, "sent"): ItemState.SENT,
    (ItemState.QUEUED, "offered"): ItemState.SENT,
    (ItemState.QUEUED, "delivered"): ItemState.DELIVERED,
    (ItemState.QUEUED, "lost"): ItemState.QUEUED,
    (ItemState.QUEUED, "successful"): ItemState.SUCCESSFUL,
    (ItemState.QUEUED, "failed"): ItemState.FAILED,
    (ItemState.SENT, "sent"): ItemState.SENT,
    (ItemState.SENT, "offered"): ItemState.SENT,
    (ItemState.SENT, "delivered"): ItemState.DELIVERED,
    (ItemState.SENT, "lost"): ItemState.QUEUED,
    (ItemState.SENT, "successful"): ItemState.SUCCESSFUL,
    (ItemState.SENT, "failed"): ItemState.FAILED,
    (ItemState.DELIVERED, "successful"): ItemState.SUCCESSFUL,
    (ItemState.DELIVERED, "failed"): ItemState.FAILED,
}
"""The next state for each step. A step that is not listed comes too late and changes nothing."""
