"""Senders whose messages were refused, because nobody knows the device: what they send next needs no second look."""

from __future__ import annotations

from collections import OrderedDict

MOST = 10_000
"""Senders of a datasource that are remembered."""


class TurnedAway:
    """The identities of senders that were refused, until a device comes or the datasource changes."""

    def __init__(self) -> None:
        self._names: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        """How many there are, at most."""
        return len(self._names)

    def add(self, identity: str) -> None:
        """A sender was refused."""
        self._names[identity] = None
        self._names.move_to_end(identity)
        if len(self._names) > MOST:
            self._names.popitem(last=False)

    def has(self, identity: object) -> bool:
        """Whether a sender was refused lately."""
        return isinstance(identity, str) and identity in self._names

    def forget(self) -> None:
        """Devices have come: look at everybody again."""
        self._names.clear()
