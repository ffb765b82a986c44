"""The verdicts under their former name, for packages that import them from here. They are defined in
`iotgw.core.verdict`."""

from __future__ import annotations

from iotgw.core.verdict import DELIVERED, Apart, Delivered, Rejected, Retry, Unavailable, Verdict

__all__ = ["DELIVERED", "Apart", "Delivered", "Rejected", "Retry", "Unavailable", "Verdict"]
