"""The short form of ``make fuzz`` for the vendors' datasources."""

from __future__ import annotations

import pytest

from tests.fuzz.devices import Fuzz


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nothing_raises_everything_is_bounded_and_forgotten(seed):
    fuzz = Fuzz(seed)
    fuzz.run(4_000)
    fuzz.end()
