"""The short form of ``python -m tests.fuzz.decoders``: what comes out of decoders. How long they take is for the long one."""

from __future__ import annotations

from math import inf

import pytest

from tests.fuzz.all_decoders import decoders
from tests.fuzz.decoders import MOST, Run
from tests.fuzz.mutation import large


@pytest.mark.parametrize("seed", [1, 2])
def test_no_decoder_raises_anything_but_its_own_errors(seed):
    run = Run(decoders(), seed, most=inf)
    run.go(100 * len(run.decoders))
    assert run.found == []


@pytest.mark.parametrize("decoder", decoders(), ids=lambda decoder: decoder.name)
def test_a_decoder_takes_what_is_changed_for_it(decoder):
    def takes(data):
        try:
            decoder.decode(data)
        except decoder.raises:
            return False
        return True

    assert any(map(takes, decoder.seeds))


@pytest.mark.parametrize(
    "name", ["sqs", "kinesis records", "pubsub", "rabbitmq", "websocket", "chirpstack's protobuf"]
)
def test_what_brokers_say_comes_through_to_the_end(name):
    (decoder,) = (each for each in decoders() if each.name == name)
    assert max(decoder.decode(seed) for seed in decoder.seeds) > 0


@pytest.mark.soak
def test_ten_million_inputs_and_ten_thousand_large_ones_raise_nothing_and_take_five_milliseconds_at_most():
    run = Run(decoders(), 1, MOST)
    run.go(10_000_000)
    run.go(10_000, large)
    assert run.found == []
