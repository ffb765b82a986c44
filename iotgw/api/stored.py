"""Finds stored messages by what the API calls them."""

from __future__ import annotations

from iotgw.core.errors import NotFound
from iotgw.core.model import Message
from iotgw.core.ports.journal import IMessages


def position(journal: IMessages, id: str) -> int:
    """The position in the journal that an id names; raises NotFound for another journal's."""
    found = journal.epochs.position(id)
    if found is None:
        raise NotFound(f"there is no message {id!r} in this journal")
    return found


async def stored_message(journal: IMessages, tenant: str, id: str) -> Message:
    """A message of a tenant; raises NotFound."""
    message = await journal.message(position(journal, id))
    if message is None or message.uplink.tenant != tenant:
        raise NotFound(f"there is no message {id!r}; it may have been trimmed")
    return message
