"""A kill between what a target says for a device and its commit: nothing was acknowledged, so it comes again."""

import json
import sqlite3
from contextlib import closing, contextmanager

from tests.interop.test_downlink_sources import UPLINK, connected, devices, integration, publish, queued
from tests.peers.process import wait_until


@contextmanager
def held(gateway):
    """Nobody else can write to ``downlinks.db``."""
    with closing(sqlite3.connect(gateway.data / "downlinks.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def test_a_message_whose_answer_was_not_durable_is_sent_again_after_a_kill(gateway, http_sink):
    devices(gateway)
    http_sink.always({"status": 200, "body": json.dumps({"data": "go", "contentType": "TEXT"})})
    integration(gateway, "http", url=http_sink.url, downlinks=True)
    with held(gateway):
        assert gateway.post("key", UPLINK).status == 204
        wait_until(lambda: len(http_sink.received) == 1, what="the message at the target")
        gateway.kill()
    gateway.start()
    queued(gateway)
    assert [json.loads(each["body"])["telemetry"] for each in http_sink.received] == [
        [{"ts": gateway.messages()[0]["receivedAt"], "values": {"t": 1}}]
    ] * 2


def test_a_caller_of_rpc_hears_when_his_request_is_not_durable_and_it_isn_t(gateway, mosquitto):
    devices(gateway)
    integration(gateway, "thingsboard", host="127.0.0.1", port=mosquitto.port, token="T")
    connected(gateway, "thingsboard")
    with mosquitto.subscribe("v1/gateway/rpc") as heard:
        with held(gateway):
            rpc = {"id": 7, "method": "setInterval", "params": 60}
            publish(mosquitto, "v1/gateway/rpc", {"device": "d", "data": rpc})
            wait_until(lambda: len(heard.messages) == 2, 60, "the answer")
        assert gateway.api("GET", "/devices/d/downlinks").json["items"] == []
    said = json.loads(heard.messages[1][1])
    assert (said["id"], said["data"]["queued"]) == (7, False) and "locked" in said["data"]["error"]
