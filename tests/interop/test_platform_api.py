"""Downlinks by a platform's API, and its receipts, through a gateway that is killed in between."""

import http.server
import json
import threading

import pytest

from tests.interop.test_downlinks import becomes, push
from tests.peers.gateway import Gateway
from tests.peers.process import free_port

CONVERTER = "function decodeUplink(input) { return {data: {t: input.bytes[0]}}; }"
DEVICE = {"device_id": "probe-7", "dev_eui": "70B3D57ED0000017"}
UPLINK = {"end_device_ids": DEVICE, "received_at": "2026-11-22T00:00:00Z",
          "uplink_message": {"session_key_id": "k", "f_cnt": 1, "f_port": 2, "frm_payload": "AOc="}}  # fmt: skip


class Api:
    """The Things Stack's API; it keeps its port over restarts."""

    def __init__(self):
        self.port = free_port()
        self.calls = []
        self.server = None

    def start(self):
        calls = self.calls

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                calls.append((self.path, self.headers["Authorization"], json.loads(body)["downlinks"][0]))
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()


@pytest.fixture
def api():
    api = Api()
    yield api
    api.stop()


def test_what_waited_for_the_platform_is_called_for_and_its_receipts_count_over_kills(tmp_path, api):
    with Gateway(tmp_path) as gateway:
        gateway.create("converters", name="decoder", type="UPLINK", script=CONVERTER)
        access = {
            "server": f"http://127.0.0.1:{api.port}", "values": {"application": "app", "webhook": "iotgw"},
            "secrets": {"token": "NNSXS.hush"},
        }  # fmt: skip
        gateway.create(
            "datasources", name="fields", type="http", routingKey="fields", converter="decoder",
            configuration={"preset": "the-things-stack", "downlinkApi": access},
        )  # fmt: skip
        assert gateway.post("fields", UPLINK).status == 204
        gateway.message_when("converted")
        item = push(gateway, "probe-7", data="vu8=", metadata={"fPort": 15})
        gateway.kill()
        api.start()
        gateway.start()
        becomes(gateway, item, "SENT")
        assert api.calls[0][0] == "/api/v3/as/applications/app/webhooks/iotgw/devices/probe-7/down/push"
        assert api.calls[0][1] == "Bearer NNSXS.hush"
        assert api.calls[0][2]["correlation_ids"] == [f"iotgw:{item['id']}"]
        gateway.kill()
        gateway.start()
        first = gateway.post("fields", UPLINK)
        assert first.status == 204 and len(gateway.all_messages()) == 1  # the same one
        assert (
            gateway.post("fields", {"end_device_ids": DEVICE, "downlink_sent": api.calls[0][2]}).status == 204
        )
        becomes(gateway, item, "DELIVERED")
        assert len(api.calls) == 1
