"""The short form of ``make fuzz``, for DTLS."""

import pytest

from tests.dtls_peer import Client
from tests.fuzz.dtls import Fuzz


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nothing_raises_everything_is_bounded_and_a_device_still_gets_in(seed):
    fuzz = Fuzz(seed)
    for _ in range(4):
        fuzz.run(500)
        fuzz.check()
    link = fuzz.link
    link.loss = link.duplicates = link.reorder = 0
    device = link.connect(("10.9.9.9", 1), Client(psk=(b"dev", b"secret")))
    assert device.done and link.say(("10.9.9.9", 1), b"alive") == [b"alive"]
    fuzz.idle()
