"""Downlinks are given to a network, which says a week later what became of them, in ten thousand receipts: shuffled, twice each, and over kills."""

import http.server
import json
import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.peers.gateway import Gateway
from tests.peers.machine_clock import MachineClock
from tests.peers.process import free_port, wait_until

pytestmark = pytest.mark.soak
COUNT = int(os.environ.get("IOTGW_DOWNLINKS", "4500"))
"""Downlinks; there are two and a quarter receipts of each."""
EACH = 50
"""Downlinks of a device."""
WEEK = 7 * 86_400
CONVERTER = "function decodeUplink(input) { return {data: {t: input.bytes[0]}}; }"
FATES = (
    (False, ("sent",), ("DELIVERED", 1)),
    (False, (), ("SENT", 1)),
    (False, ("lost",), ("SENT", 2)),
    (False, ("refused",), ("FAILED", 1)),
    (True, ("sent",), ("SENT", 1)),
    (True, ("sent", "ack"), ("DELIVERED", 1)),
    (True, ("sent", "lost"), ("SENT", 2)),
    (True, ("ack",), ("DELIVERED", 1)),
)
"""Whether an item must be confirmed, what the network says of it, and its state and attempts in the end."""


class Api:
    """The Things Stack's API, which takes everything."""

    def __enter__(self):
        self.names = []
        names = self.names

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                names.extend(body["downlinks"][0]["correlation_ids"])
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *arguments):
                pass

        self.port = free_port()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exc):
        self.server.shutdown()
        self.server.server_close()


def ids_of(number):
    return {"device_id": f"probe-{number}", "dev_eui": f"70B3D57ED0{number:06X}"}


def receipt(number, item, what):
    """What The Things Stack says of the first attempt at an item."""
    name = {"correlation_ids": ["as:up:1", f"iotgw:{item}"]}
    said = {
        "sent": {"downlink_sent": name},
        "ack": {"downlink_ack": name},
        "lost": {"downlink_failed": {"downlink": name, "error": {"name": "expired", "message_format": "expired"}}},
        "refused": {"downlink_failed": {"downlink": name, "error": {"name": "application_downlink_too_long"}}},
    }  # fmt: skip
    return {"end_device_ids": ids_of(number), **said[what]}


def items(gateway):
    """Every item by its id."""
    found, before = {}, ""
    while True:
        page = gateway.api("GET", f"/downlinks?limit=1000{before}").json
        found |= {each["id"]: each for each in page["items"]}
        if not page.get("next"):
            return found
        before = f"&before={page['next']}"


def test_every_state_is_right(tmp_path):
    chance, devices = random.Random(20), COUNT // EACH
    clock = MachineClock(tmp_path)
    gateway = Gateway(tmp_path / "gateway", env=clock.env)
    with ThreadPoolExecutor(8) as pool, Api() as api, gateway:

        def post_all(bodies):
            answers = pool.map(lambda body: gateway.post("fields", body).status, bodies)
            assert set(answers) <= {204}

        gateway.create("converters", name="decoder", type="UPLINK", script=CONVERTER)
        access = {
            "server": f"http://127.0.0.1:{api.port}", "values": {"application": "app", "webhook": "iotgw"},
            "secrets": {"token": "NNSXS.hush"},
        }  # fmt: skip
        gateway.create(
            "datasources", name="fields", type="http", routingKey="fields", converter="decoder",
            configuration={"preset": "the-things-stack", "downlinkApi": access},
        )  # fmt: skip
        uplink = {"session_key_id": "k", "f_cnt": 1, "f_port": 2, "frm_payload": "AOc="}
        post_all({"end_device_ids": ids_of(number), "uplink_message": uplink} for number in range(devices))
        wait_until(
            lambda: len(gateway.api("GET", "/devices?limit=1000").json["items"]) == devices, 600, "devices"
        )
        fates = {}
        for number in range(devices):
            wanted = [FATES[(number + at) % len(FATES)] for at in range(EACH)]
            specs = [
                {"data": "vu8=", "ttl": 4 * WEEK, "confirmed": fate[0], "metadata": {"fPort": 15}}
                for fate in wanted
            ]
            answer = gateway.api("PUT", f"/devices/probe-{number}/downlinks", specs)
            assert answer.status == 200, answer.body
            for item, fate in zip(answer.json["items"], wanted, strict=True):
                fates[item["id"]] = (number, *fate)
        wait_until(lambda: len(set(api.names)) >= len(fates), 3600, "all to be called for")
        wait_until(
            lambda: all(each["state"] == "SENT" for each in items(gateway).values()), 600, "all to be sent"
        )
        gateway.kill()
        clock.jump(WEEK)
        gateway.start()
        said = [(number, id, word) for id, (number, _, words, _) in fates.items() for word in words * 2]
        chance.shuffle(said)
        quarter = len(said) // 4 + 1
        for start in range(0, len(said), quarter):
            post_all(receipt(*each) for each in said[start : start + quarter])
            gateway.kill()
            gateway.start()

        def wrong():
            now = items(gateway)
            return {
                id: (now[id]["state"], now[id]["attempts"], now[id]["reason"], ends)
                for id, (_, _, _, ends) in fates.items()
                if (now[id]["state"], now[id]["attempts"]) != ends
            }

        wait_until(lambda: not wrong(), 600, f"every state to be right: {list(wrong().items())[:5]}")
        print(f"\n{len(said)} receipts of {len(fates)} items: every state is right")
    clock.close()
