"""A tenant is deleted with all that it has, by one command, also if the gateway is killed meanwhile; another tenant loses nothing."""

import json
import subprocess
import sys
import time

import pytest

from tests.peers.gateway import ROOT, Gateway, request
from tests.peers.process import wait_until

pytestmark = pytest.mark.interop
COUNT = 40


def ctl(gateway, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "iotgw.ctl.main", "--url", gateway.url, "--token-file", gateway.data / "admin-token", *arguments],
        cwd=gateway.folder, env={"PYTHONPATH": str(ROOT), "PATH": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def made(gateway, tenant, path, body):
    answer = gateway.api("POST", f"/{path}?tenant={tenant}", body)
    assert answer.status in (200, 201), answer.body
    return answer.json


def fill(gateway, tenant):
    """A tenant with something of everything; returns a token of its own."""
    made(
        gateway,
        tenant,
        "converters",
        {
            "name": "own",
            "script": "function Decoder(p, m) { return {deviceName: decodeToString(p), telemetry: {a: 1}}; }",
        },
    )
    made(
        gateway,
        tenant,
        "datasources",
        {"name": "web", "type": "http", "routingKey": f"key-{tenant}", "converter": "own"},
    )
    away = {"url": "http://127.0.0.1:9/"}
    made(gateway, tenant, "integrations", {"name": "out", "type": "http", "configuration": away})
    made(
        gateway,
        tenant,
        "credentials",
        {"name": "psk", "identity": "dev-1", "secrets": [{"value": f"secret of {tenant}"}]},
    )
    made(gateway, tenant, "device-types", {"name": "meter"})
    made(gateway, tenant, "devices", {"name": "dev-1", "label": f"of {tenant}"})
    for number in range(COUNT):
        assert request("POST", f"{gateway.url}/i/key-{tenant}", b"dev-%d" % number).status == 204
    made(gateway, tenant, "devices/dev-1/downlinks", {"data": "x", "contentType": "TEXT"})
    assert gateway.api(
        "PUT", f"/files/image?tenant={tenant}", b"firmware", {"Content-Type": "application/octet-stream"}
    ).status in (200, 201)
    wait_until(lambda: len(of(gateway, tenant, "devices")) == COUNT, what="the conversions")
    return made(gateway, tenant, "tokens", {"name": f"of {tenant}", "role": "admin"})["token"]


def of(gateway, tenant, path):
    return gateway.api("GET", f"/{path}{'&' if '?' in path else '?'}tenant={tenant}").json["items"]


KINDS = (
    "converters",
    "datasources",
    "integrations",
    "credentials",
    "device-types",
    "devices",
    "files",
    "quarantine",
    "jobs",
    "events",
)


def left(gateway, tenant):
    """What is still there of a tenant, by kind."""
    found = {kind: len(some) for kind in KINDS if (some := of(gateway, tenant, kind))}
    messages = of(gateway, tenant, "messages")
    used = of(gateway, tenant, "usage?per=device&every=day")
    return {
        **found,
        **({"messages": len(messages)} if messages else {}),
        **({"usage": len(used)} if used else {}),
    }


def test_a_tenant_is_exported_and_deleted_whole_and_others_lose_nothing(tmp_path):
    gateway = Gateway(tmp_path / "gateway")
    with gateway.start():
        tokens = {tenant: fill(gateway, tenant) for tenant in ("north", "south")}
        before = left(gateway, "south")
        assert set(before) >= {"converters", "devices", "messages", "usage", "files"}
        refused = ctl(gateway, "tenant", "delete", "north")
        assert (refused.returncode, "--export DIR, or --confirm NAME" in refused.stderr) == (2, True)
        done = ctl(gateway, "tenant", "delete", "north", "--export", tmp_path / "kept")
        assert (done.returncode, "is gone with all that it had" in done.stdout) == (0, True), (
            done.stderr + done.stdout
        )
        assert left(gateway, "north") == {}
        names = [each["name"] for each in gateway.api("GET", "/tenants").json["items"]]
        assert names == ["default", "south"]
        denied = request(
            "GET", f"{gateway.url}/api/v1/status", headers={"Authorization": f"Bearer {tokens['north']}"}
        )
        assert denied.status == 401
        assert left(gateway, "south") == {**before, "events": left(gateway, "south")["events"]}
        assert (
            request(
                "GET", f"{gateway.url}/api/v1/devices", headers={"Authorization": f"Bearer {tokens['south']}"}
            ).status
            == 200
        )
    kept = tmp_path / "kept"
    assert "secret of north" in (kept / "secrets.env").read_text()
    assert (kept / "configuration" / "datasources" / "web.toml").exists()
    assert len(json.loads((kept / "devices.json").read_text())["items"]) == COUNT
    assert json.loads((kept / "usage.json").read_text())["device"]


@pytest.mark.parametrize("moment", [0.0, 0.15, 0.4])
def test_a_deletion_goes_on_after_a_kill(tmp_path, moment):
    gateway = Gateway(tmp_path / "gateway")
    with gateway.start():
        fill(gateway, "north")
        begun = gateway.api("POST", "/tenants/north/erase", {"confirm": "north"})
        assert begun.status == 201, begun.body
        time.sleep(moment)
        gateway.kill()
        gateway.start()
        job = begun.json["id"]
        wait_until(lambda: gateway.api("GET", f"/jobs/{job}").json["state"] == "done", what="the deletion")
        assert left(gateway, "north") == {}
