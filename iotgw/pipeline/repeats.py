"""What a datasource's latest uplinks were, by the keys that their senders gave them, so that one that is sent again is
answered like the first time and not stored anew.

The table is in memory. It needs none on disk: a key stands in its message's metadata, so the journal has both or neither,
and the table is learnt again from there.
"""

from __future__ import annotations

from collections.abc import Iterable

from iotgw.core.model import Answer, Status
from iotgw.core.ports.intake import Reply

MOST = 32_768
"""How many of a datasource's latest keys are known. At ten messages a second that is nearly an hour, which is what The Things
Stack takes for its last retry. Each costs some 250 bytes."""


class FirstTry:
    """An uplink that isn't answered yet, with those who wait for the same answer. `answered` is what the gateway calls."""

    __slots__ = ("_key", "_repeats", "_replies")

    def __init__(self, repeats: Repeats, key: str, reply: Reply) -> None:
        self._repeats = repeats
        self._key = key
        self._replies = [reply]

    def wait(self, reply: Reply) -> None:
        """The same uplink came again."""
        self._replies.append(reply)

    def answered(self, answer: Answer) -> None:
        """The gateway's answer. Downlinks and a converter's reply go to the first sender."""
        self._repeats.answered(self._key, answer)
        first, *others = self._replies
        first(answer)
        for reply in others:
            reply(Answer(answer.status, answer.message_id, answer.retry_after))


class Repeats:
    """The keys of one datasource, the latest ``most``."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._found: dict[str, FirstTry | str] = {}
        """An uplink under way, or the id of the message."""
        self.count = 0
        """How many uplinks came again."""

    def __len__(self) -> int:
        return len(self._found)

    def learn(self, messages: Iterable[tuple[str, str]]) -> None:
        """Take in what was stored earlier: pairs of a key and the message's id, oldest first."""
        known = self._found
        self._found = {}
        for key, message in messages:
            self._found[key] = message
        self._found |= known
        self._shorten()

    def find(self, key: str) -> FirstTry | str | None:
        """The uplink with this key: under way, or the id of its message; None for one that hasn't come."""
        return self._found.get(key)

    def expect(self, key: str, reply: Reply) -> FirstTry:
        """An uplink with this key goes to the journal."""
        first = self._found[key] = FirstTry(self, key, reply)
        self._shorten()
        return first

    def answered(self, key: str, answer: Answer) -> None:
        """It is stored; or it isn't, and its next try is a first one."""
        if key not in self._found:
            return
        if answer.status in (Status.STORED, Status.FAILED):
            self._found[key] = answer.message_id
        else:
            del self._found[key]

    def _shorten(self) -> None:
        found = self._found
        while len(found) > self._most:
            del found[next(iter(found))]
