"""Who guesses routing keys: addresses that try many different ones. A device with an old key tries one, again and again, and
is none of them."""

from __future__ import annotations

from collections import OrderedDict

from twisted.internet.interfaces import IReactorTime

WINDOW = 600.0
"""Seconds for which wrong keys of an address are remembered, from the first one on."""
MOST = 20
"""Different wrong keys that an address may try in that time."""
ADDRESSES = 1024
"""Addresses whose wrong keys are remembered. Beyond, the one that was silent for longest is forgotten."""
PAIRS = 10_000
"""Right keys that are remembered, each with an address that used it."""
RETRY_AFTER = 60
"""Seconds after which somebody who is turned away may try again."""


class KeyGuesses:
    """The wrong keys of each address, and the right ones that were used before it was limited."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._wrong: OrderedDict[str, tuple[float, set[int]]] = OrderedDict()
        self._right: OrderedDict[tuple[str, str], None] = OrderedDict()

    def wrong(self, host: str, key: str) -> bool:
        """An address tried a key that nobody has. Returns whether it is limited now."""
        now = self._clock.seconds()
        since, keys = self._wrong.get(host, (now, set()))
        if now - since >= WINDOW:
            since, keys = now, set()
        if len(keys) < MOST:
            keys.add(hash(key))
        self._wrong[host] = since, keys
        self._wrong.move_to_end(host)
        if len(self._wrong) > ADDRESSES:
            self._wrong.popitem(last=False)
        return len(keys) >= MOST

    def may(self, host: str, key: str) -> bool:
        """Whether an address may use a key that somebody has: it isn't limited, or used this key before it was."""
        pair = host, key
        if pair in self._right:
            return True
        if self._wrong and self._is_limited(host):
            return False
        self._right[pair] = None
        if len(self._right) > PAIRS:
            self._right.popitem(last=False)
        return True

    def _is_limited(self, host: str) -> bool:
        since, keys = self._wrong.get(host, (0.0, ()))
        return len(keys) >= MOST and self._clock.seconds() - since < WINDOW
