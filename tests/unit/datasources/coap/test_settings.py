"""What the settings of a CoAP datasource come to."""

import pytest

from iotgw.datasources.coap.settings import CoapSettings


@pytest.mark.parametrize(
    ("settings", "seconds"),
    [
        (CoapSettings(), 93),
        (CoapSettings(timing="nb-iot"), 225),
        (CoapSettings(timing="lobaro", max_retransmit=1), 36),
        (CoapSettings(timing="nb-iot", block_timeout=30.0), 30),
    ],
)
def test_a_transfer_waits_for_a_block_as_long_as_a_device_may_repeat_it(settings, seconds):
    assert settings.policy.block_timeout == seconds
