"""Events about peers, bounded: of one host each reason once a minute, and ten reasons at most."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from iotgw.dtls.session import Address

HOSTS = 1024
_REASONS = 10
_MINUTE = 60.0
_LONGEST_REASON = 300  # a certificate's subject is as long as its maker likes


class Telling:
    """Passes on to ``event(type, message, severity, **detail)`` what was not told of the host within a minute."""

    def __init__(self, event: Callable[..., object]) -> None:
        self._event = event
        self._told: OrderedDict[str, tuple[float, set[str]]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._told)

    def tell(self, address: Address, reason: str, now: float, **detail: Any) -> None:
        """Something went wrong with a peer."""
        reason = reason[:_LONGEST_REASON]
        if self.is_new(address[0], reason, now):
            peer = f"{address[0]}:{address[1]}"
            self._event("dtls.failed", f"{peer}: {reason}", "warning", peer=peer, **detail)

    def is_new(self, host: str, reason: str, now: float) -> bool:
        """Whether a reason was not given for a host within a minute, and is not one too many; from now on it was."""
        until, reasons = self._told.get(host, (0.0, set[str]()))
        if now >= until:
            until, reasons = now + _MINUTE, set()
        if reason in reasons or len(reasons) >= _REASONS:
            return False
        reasons.add(reason)
        self._told[host] = until, reasons
        self._told.move_to_end(host)
        if len(self._told) > HOSTS:
            self._told.popitem(last=False)
        return True
