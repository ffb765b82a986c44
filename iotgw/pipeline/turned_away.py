"""Senders whose messages were refused, because nobody knows the device: what they send next needs no second look."""

from __future__ import annotations

from collections import OrderedDict

MOST = 10_000
"""Senders of a datasource that are remembered."""


class TurnedAway(OrderedDict[str, None]):
    """The identities of senders that were refused, until a device comes or the datasource changes."""

    def add(self, identity: str) -> None:
        """A sender was refused."""
        self[identity] = None
        self.move_to_end(identity)
        if len(self) > MOST:
            self.popitem(last=False)

    def has(self, identity: object) -> bool:
        """Whether a sender was refused lately."""
        return isinstance(identity, str) and identity in self

    def forget(self) -> None:
        """Devices have come: look at everybody again."""
        self.clear()
