"""``google-pubsub-push`` with the real gateway: tokens of an issuer of the test's own, whose keys are fetched from where it publishes them."""

from __future__ import annotations

import base64
import http.server
import json
import threading
import time

import pytest

from tests.peers.gateway import Gateway
from tests.peers.process import wait_until
from tests.token_issuer import ACCOUNT, AUDIENCE, TokenIssuer

pytestmark = pytest.mark.interop
NAME = "projects/plant/subscriptions/readings"


class Keys:
    """Publishes an issuer's keys, and counts who asks."""

    def __init__(self, issuer):
        self.asked = 0
        document = json.dumps({"keys": [issuer.published]}).encode()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked += 1
                self.send_response(200)
                self.send_header("Cache-Control", "public, max-age=3600")
                self.end_headers()
                self.wfile.write(document)

            def log_message(self, *args):
                pass

        self._server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/certs"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def push(gateway, token, id, data):
    message = {"messageId": id, "data": base64.b64encode(data).decode(), "attributes": {"serial": "SN-1"}}
    body = {"message": message, "subscription": NAME}
    return gateway.post("pushed", body, {"Authorization": f"Bearer {token}"}).status


def test_each_message_is_stored_once_over_a_kill_and_whoever_is_not_google_is_turned_away_and_counted(
    tmp_path,
):
    issuer, stranger = TokenIssuer("one"), TokenIssuer("two")
    with Keys(issuer) as keys, Gateway(tmp_path / "gateway") as gateway:
        gateway.create(
            "datasources", name="push", type="google-pubsub-push", converter="json", routingKey="pushed",
            configuration={
                "project": "plant", "subscription": "readings", "audience": AUDIENCE, "serviceAccount": ACCOUNT,
                "keys": {"url": keys.url}, "deviceAttribute": "serial",
            },
        )  # fmt: skip

        def status():
            return gateway.api("GET", "/datasources/push").json["status"]

        def is_balanced(wanted):
            counts = status()["counts"]
            return tuple(counts.get(name, 0) for name in ("received", "converted", "failed")) == wanted

        wait_until(lambda: status()["keys"] == "known")
        token = issuer.token(time.time())
        assert [push(gateway, token, str(n), b'{"t": 1}') for n in range(20)] == [204] * 20
        assert push(gateway, token, "rubbish", b"rubbish") == 204
        gateway.kill()
        gateway.start()
        wait_until(lambda: status()["keys"] == "known")
        # Google hasn't heard all answers
        assert [push(gateway, token, str(n), b'{"t": 1}') for n in range(15, 25)] == [204] * 10
        wait_until(lambda: is_balanced((26, 25, 1)))
        assert status()["repeats"] == 5
        bad = [
            stranger.token(time.time()),
            issuer.token(time.time() - 7200),
            issuer.token(time.time(), aud="x"),
            "rubbish",
        ]
        assert [push(gateway, each, "x", b"{}") for each in bad] == [401] * 4
        asked = keys.asked
        assert [push(gateway, bad[0], "x", b"{}") for _ in range(30)] == [401] * 30
        assert keys.asked <= asked + 1
        (shown,) = gateway.api("GET", "/status").json["datasources"]
        assert shown["refusals"] == {"credentials": 34}
        assert is_balanced((26, 25, 1))
