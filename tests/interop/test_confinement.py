"""A gateway on a kernel that can't confine its converters: nothing runs, nothing is lost."""

import json

from tests.peers.gateway import Gateway
from tests.peers.kernels import NO_SECCOMP, under


class OnAKernelWithoutSeccomp(Gateway):
    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.args = [*under(NO_SECCOMP), *self.args]


def test_messages_are_kept_as_failed_and_are_converted_once_scripts_may_run(tmp_path):
    folder = tmp_path / "gateway"
    with OnAKernelWithoutSeccomp(folder).start() as gateway:
        gateway.create("datasources", name="field", type="http", routingKey="field", converter="json")
        assert gateway.post("field", json.dumps({"deviceName": "d", "t": 21.5}).encode()).status == 204
        failed = gateway.message_when("failed")
        assert failed["error"]["name"] == "Unconfined"
        reason = failed["error"]["message"]
        assert (
            "the kernel or its container refuses a seccomp filter" in reason
            and "`unconfined = true`" in reason
        )
        assert gateway.api("GET", "/health/ready").json == {"status": "ready", "converters": reason}
        assert gateway.api("GET", "/status").json["confinement"]["refusal"] == reason
        assert 'iotgw_converters_confined{by="seccomp"} 0' in gateway.api("GET", "/metrics").body.decode()
        script = {"name": "mine", "script": "return {deviceName: 'd', telemetry: {}};"}
        refused = gateway.api("POST", "/converters", script)
        assert (refused.status, refused.json["detail"]) == (503, reason)
        (event,) = gateway.api("GET", "/events?type=confinement").json["items"]
        assert (event["severity"], event["message"]) == ("error", reason)
        gateway.stop()
        port = gateway.port
    with OnAKernelWithoutSeccomp(folder, settings="[converters]\nunconfined = true\n").start() as gateway:
        assert gateway.port != port
        assert gateway.api("POST", f"/messages/{failed['id']}/reprocess").status in (200, 202)
        assert gateway.message_when("converted")["id"] == failed["id"]
        event = gateway.api("GET", "/events?type=confinement").json["items"][0]
        assert event["severity"] == "warning" and "resource limits only" in event["message"]
