"""When to try again: exponential backoff with full jitter."""

from __future__ import annotations

import random
from collections.abc import Callable

from iotgw.core.specs import RetrySpec

LONGEST_RETRY_AFTER = 86400.0
"""Longest wait that a target may ask for: a day, in seconds."""


class Backoff:
    """Growing waits: uniform in 0…min(cap, initial · multiplier^n), n counting from 0.

    Full jitter keeps clients that failed together from retrying together.
    """

    def __init__(self, spec: RetrySpec, uniform: Callable[[float, float], float] = random.uniform) -> None:
        self._spec = spec
        self._uniform = uniform

    def after(self, failures: int) -> float:
        """Seconds before the next try after ``failures`` failures in a row, at least 1. A retry policy for Twisted's
        `ClientService`."""
        return self.wait(failures - 1)

    def wait(self, n: int, at_least: float | None = None) -> float:
        """Seconds before the next try after ``n`` earlier failures, and not less than a target asked for."""
        spec = self._spec
        exponent = min(n, 64)  # beyond that, every multiplier has met the cap, or is 1
        wait = self._uniform(0.0, min(spec.cap, spec.initial * spec.multiplier**exponent))
        return max(wait, min(at_least or 0.0, LONGEST_RETRY_AFTER))
