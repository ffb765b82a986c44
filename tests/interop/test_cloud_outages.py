"""Queue → gateway → queue of clouds, while the service is frozen or killed, or the gateway is killed: nothing is lost, what comes again
is recognised, each device's messages stay in order, and the accounts balance."""

from __future__ import annotations

import threading

import pytest

from tests.peers.gateway import Gateway

from .queue_relay import Kinesis, PubsubTopic, Relay, Sqs

pytestmark = pytest.mark.interop
FROZEN = 20
"""Seconds: longer than a request waits."""


LONG = [pytest.param(cloud, marks=pytest.mark.soak) for cloud in (Sqs, PubsubTopic)]
"""Where a message that was lent to a gateway that died comes again only after a while."""


@pytest.fixture(params=[Kinesis, *LONG], ids=lambda cloud: cloud.__name__)
def cloud(request, tmp_path):
    made = request.param(tmp_path / "cloud")
    with made.service:
        made.prepare()
        yield made


@pytest.fixture
def relay(cloud, tmp_path):
    with Gateway(tmp_path / "gateway") as gateway:
        yield Relay(gateway, cloud)


def test_a_service_that_is_frozen_costs_nothing(relay):
    relay.passed(50)
    relay.cloud.service.freeze()
    threading.Event().wait(FROZEN)
    relay.cloud.service.thaw()
    relay.passed(50)
    relay.all_arrived()
    assert relay.status["state"] == "connected"


def test_a_gateway_that_is_killed_reads_on_where_it_was_and_knows_what_comes_again(relay):
    for _ in range(2):
        relay.passed(50)
        relay.gateway.kill()
        relay.gateway.start()
    relay.passed(20)
    assert relay.all_arrived() == relay.count


def test_a_service_that_is_killed_costs_nothing_that_it_kept(relay):
    if not relay.cloud.keeps:
        return  # what it held is gone with it
    relay.passed(50)
    relay.cloud.service.kill()
    relay.cloud.service.start()
    relay.passed(50)
    relay.all_arrived()


@pytest.mark.parametrize("cloud", [Sqs, PubsubTopic], indirect=True)
def test_what_was_received_is_converted_or_failed(relay):
    relay.passed(20)
    assert relay.all_arrived() == relay.count
    relay.fails_one()
