"""What a datasource's latest uplinks were, by the keys that their senders gave them, so that one that is sent again is
answered like the first time and not stored anew.

The table is in memory. It needs none on disk: a key stands in its message's metadata, so the journal has both or neither,
and the table is learnt again from there.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from itertools import islice
from weakref import WeakSet

from iotgw.core.model import Answer, Status
from iotgw.core.ports.intake import Reply

MOST = 32_768
"""How many of a datasource's latest keys are known. At ten messages a second that is nearly an hour, which is what The Things
Stack takes for its last retry. Each costs some 250 bytes."""
MOST_IN_ALL = 262_144
"""How many keys of all datasources are known. Beyond that, the datasource with the most forgets a part of its oldest."""


LONGEST = 256
"""Characters of a key. A longer one is known by its hash."""
LOOK_EVERY = 256
"""After how many keys a datasource looks whether they are too many in all."""


def bounded(key: str) -> str:
    """A key, or the hash of one that is too long."""
    return (
        key
        if len(key) <= LONGEST
        else blake2b(key.encode(errors="surrogatepass"), digest_size=20).hexdigest()
    )


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


class KnownKeys:
    """The keys of all datasources together, at most ``most``."""

    def __init__(self, most: int = MOST_IN_ALL) -> None:
        self._most = most
        self._tables: WeakSet[Repeats] = WeakSet()

    def add(self, table: Repeats) -> None:
        """Count a datasource's keys."""
        self._tables.add(table)

    def make_room(self) -> None:
        """Forget the oldest keys of those datasources that have the most, until there are no more than may be."""
        while sum(map(len, self._tables)) > self._most:
            max(self._tables, key=len).forget_oldest()


class Repeats:
    """The keys of one datasource, the latest ``most`` and up to a sixteenth more, among all ``known``."""

    def __init__(self, known: KnownKeys | None = None, most: int = MOST) -> None:
        self._known = known
        self._most = most
        self._found: dict[str, FirstTry | str] = {}
        """An uplink under way, or the id of the message."""
        self._grown = 0
        """By how many keys, since room was made in all."""
        self.count = 0
        """How many uplinks came again."""
        if known is not None:
            known.add(self)

    def __len__(self) -> int:
        return len(self._found)

    def learn(self, messages: Iterable[tuple[str, str]]) -> None:
        """Take in what was stored earlier: pairs of a key and the message's id, oldest first."""
        known = self._found
        self._found = {}
        for key, message in messages:
            self._found[key] = message
        self._found |= known
        self._grown = LOOK_EVERY
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

    def forget_oldest(self) -> None:
        """Forget a sixteenth of the keys, the oldest."""
        for key in list(islice(self._found, len(self._found) // 16 + 1)):
            del self._found[key]

    def _shorten(self) -> None:
        found = self._found
        if len(found) > self._most + self._most // 16:
            # many at a time: a dict finds its first key by walking over all that were deleted before it
            for key in list(islice(found, len(found) - self._most)):
                del found[key]
        self._grown += 1
        if self._known is not None and self._grown >= LOOK_EVERY:
            self._grown = 0
            self._known.make_room()
