"""The short form of ``make fuzz``."""

from __future__ import annotations

import pytest

from tests.fuzz.coap import Fuzz


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nothing_raises_everything_is_bounded_and_forgotten(seed):
    fuzz = Fuzz(seed)
    for _ in range(4):
        fuzz.run(5_000)
        fuzz.check()
    fuzz.end()
    assert not any(fuzz.sizes().values()), fuzz.sizes()
