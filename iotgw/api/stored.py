"""Finds stored messages by what the API calls them."""

from __future__ import annotations

from iotgw.core.errors import NotFound, SettingsError
from iotgw.core.model import Message
from iotgw.core.ports.journal import IMessages

LONGEST_PLACE = 2048
"""Characters of what says where a list goes on: where there are many nodes, it has a place in the messages of each."""


async def position(journal: IMessages, id: str) -> int:
    """The position in the journal that an id names; raises NotFound for another journal's."""
    found = await journal.where(id)
    if found is None:
        raise NotFound(f"there is no message {id!r} in this journal")
    return found


async def place(journal: IMessages, before: str | None) -> int:
    """The position that a list goes on from: of `next`, or of any message; 0 for none. Raises SettingsError."""
    if before is None:
        return 0
    try:
        return await position(journal, before)
    except NotFound as error:
        raise SettingsError("before", f"expected the id of a message of this journal: {error}") from error


async def stored_message(journal: IMessages, tenant: str, id: str) -> Message:
    """A message of a tenant; raises NotFound."""
    message = await journal.message(await position(journal, id))
    if message is None or message.uplink.tenant != tenant:
        raise NotFound(f"there is no message {id!r}; it may have been trimmed")
    return message
