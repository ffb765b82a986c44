"""A simulated platform with its API: a downlink that is called for comes back as a receipt."""

from __future__ import annotations

import json

import pytest_twisted
import treq
from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from iotgw.simulate.runner import Plan, run
from tests.peers.process import free_port


class Gateway(Resource):
    """Takes everything, and calls the API once it knows a device."""

    isLeaf = True

    def __init__(self, api):
        super().__init__()
        self.api = api
        self.bodies = []
        self.answers = []

    def render_POST(self, request):
        body = json.loads(request.content.read())
        self.bodies.append(body)
        request.setResponseCode(204)
        if len(self.bodies) > 1:
            return b""
        path = f"/api/v3/as/applications/a/webhooks/w/devices/{body['end_device_ids']['device_id']}/down/push"
        downlink = {"downlinks": [{"correlation_ids": ["iotgw:dl1"], "f_port": 2}]}
        calls = [treq.post(self.api + place, json=downlink, persistent=False) for place in (path, "/nowhere")]

        def answered(answers):
            self.answers = [answer.code for answer in answers]
            request.finish()

        gatherResults(calls).addCallback(answered)
        return NOT_DONE_YET


@pytest_twisted.ensureDeferred
async def test_a_downlink_that_is_called_for_is_reported_on():
    api_port = free_port()
    gateway = Gateway(f"http://127.0.0.1:{api_port}")
    port = reactor.listenTCP(0, Site(gateway), interface="127.0.0.1")
    plan = Plan("ttn", "127.0.0.1", port.getHost().port, 4, 0.0, 1, path="/i/k", seed=1, api_port=api_port)
    summary = await run(reactor, plan)
    await port.stopListening()
    assert (summary.answered, summary.downlinks, gateway.answers) == (4, 1, [200, 404])
    said = [next(word for word in body if word.startswith(("uplink", "downlink"))) for body in gateway.bodies]
    assert said == ["uplink_message", "downlink_queued", "downlink_sent", "uplink_message"]
    assert gateway.bodies[2]["downlink_sent"]["correlation_ids"] == ["iotgw:dl1"]
