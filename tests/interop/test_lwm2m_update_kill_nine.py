"""A gateway that is killed while an image is on its way goes on with its job, and the device of Eclipse Leshan is updated."""

from __future__ import annotations

import hashlib
import random

import pytest

from tests.peers.gateway import Gateway, request
from tests.peers.leshan import LeshanDevice
from tests.peers.process import free_udp_port, wait_until

pytestmark = pytest.mark.soak
RESOURCES = """
[[datasource]]
name = "lwm2m"
type = "lwm2m"
converter = "lwm2m"
[datasource.configuration]
port = {port}
interface = "127.0.0.1"
"""


def test_a_job_outlasts_a_kill_and_its_device_is_updated(tmp_path):
    port, image = free_udp_port(), random.Random(7).randbytes(300_000)
    with (
        Gateway(tmp_path / "gateway", RESOURCES.format(port=port)).start() as gateway,
        LeshanDevice(tmp_path, f"coap://127.0.0.1:{port}", "box", 3600).launch() as device,
    ):
        wait_until(lambda: gateway.api("GET", "/devices/box").status == 200, what="the device")
        uploaded = request(
            "PUT", f"{gateway.url}/api/v1/files/app.bin", image,
            {"Authorization": f"Bearer {gateway.token}", "Content-Type": "application/octet-stream"},
        )  # fmt: skip
        assert uploaded.status == 201
        job = gateway.create("jobs", firmware={"file": "app.bin", "device": "box", "method": "push"})["id"]

        def state():
            (found,) = gateway.api("GET", f"/jobs/{job}/devices").json["items"]
            return found

        wait_until(lambda: state()["sent"], what="the first blocks")
        gateway.kill()
        gateway.start()
        wait_until(lambda: state()["phase"] in ("updated", "failed"), 120, "the end of the update")
        assert (state()["phase"], state()["result"]) == ("updated", "updated successfully")
        assert f"image of {len(image)} bytes {hashlib.sha256(image).hexdigest()}" in device.output
        wait_until(lambda: gateway.api("GET", f"/jobs/{job}").json["state"] == "done", what="the job")
        assert gateway.api("GET", f"/jobs/{job}").json["counts"] == {"updated": 1}
