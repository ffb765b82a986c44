"""``kill -9`` of the gateway under load: what was answered 2.04 is there after the restart."""

import json
import random
from base64 import b64decode

import pytest

from tests.peers.coap import Device
from tests.peers.gateway import ROOT, Gateway
from tests.peers.process import free_udp_port, wait_until

ROUNDS = 20
RESOURCES = """
[[datasource]]
name = "coap"
type = "coap"
routingKey = "key"
converter = "json"
configuration = {{ port = {port} }}
"""


def payload(number):
    return json.dumps({"deviceName": f"d{number % 50}", "n": number}).encode()


def answered_and_stored(folder, rounds, env=None):
    """Kill the gateway at random moments under load; returns the numbers answered and the numbers stored."""
    port = free_udp_port()
    gateway = Gateway(folder, RESOURCES.format(port=port), env=env)
    answered, first, dice = set(), 0, random.Random(7)
    for _ in range(rounds):
        with gateway.start():
            device = Device(port, "i/key", payload, window=64, first=first).start()
            enough = dice.randint(30, 200)
            wait_until(lambda device=device, enough=enough: len(device.answered) >= enough, what="the load")
            gateway.kill()
            device.stop()
        answered |= device.answered
        first = max(device.sent, default=first) + 1
    with gateway.start():
        stored = {json.loads(b64decode(item["payload"]))["n"] for item in gateway.all_messages()}
        gateway.stop()
    return answered, stored


def test_no_message_that_was_answered_is_missing_after_kill_nine(tmp_path):
    answered, stored = answered_and_stored(tmp_path / "gateway", ROUNDS)
    assert len(answered) > 500, "the load must be worth the name"
    assert not answered - stored


def test_a_gateway_that_acknowledges_early_is_caught(tmp_path):
    """The control: without it the test above could pass for the wrong reason."""
    (tmp_path / "early").mkdir()
    (tmp_path / "early" / "sitecustomize.py").write_text(EARLY)
    env = {"PYTHONPATH": f"{tmp_path / 'early'}:{ROOT}"}
    for attempt in range(3):
        answered, stored = answered_and_stored(tmp_path / f"gateway-{attempt}", 4, env)
        if answered - stored:
            return
    pytest.fail("a gateway that acknowledges before the commit lost nothing: the test can't see a loss")


EARLY = '''
"""Makes the gateway answer before the commit, and the commit late, as a careless one would."""
import importlib.abc
import importlib.util
import sys


class Patch(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != "iotgw.pipeline.intake":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            receive = module.Intake.receive

            def early(self, payload, metadata, answer, received_ms=0, listens=True):
                from twisted.internet import reactor
                from iotgw.core.model import Answer, Status
                answer(Answer(Status.STORED))
                reactor.callLater(0.05, receive, self, payload, metadata, lambda a: None, received_ms)

            module.Intake.receive = early

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, Patch())
'''
