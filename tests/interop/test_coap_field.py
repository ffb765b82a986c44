"""Real clients against a running gateway, as devices in the field send: to burnt-in paths, and in their own way."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.peers.patience import HANGS
from tests.peers.process import find, node_module, wait_until

BY_NAME = b'{"deviceName": "d", "t": 1}'
BOTH = """function Decoder(payload, metadata) {
    return {deviceName: 'd', deviceType: 'x', telemetry: {path: metadata.path || '', text: decodeToString(payload)}};
}"""


def libcoap(url, file, *options):
    return run(find("coap-client-notls"), "-m", "post", "-f", file, *options, url)


def aiocoap(url, file, *options):
    return run(sys.executable, Path(__file__).parent / "aiocoap_client.py", "POST", url, file)


def npm(url, file, *options):
    return run(
        find("node"), node_module("coap-cli") / "index.js", "post", "-p", Path(file).read_text(), "-q", url
    )


CLIENTS = [libcoap, aiocoap, npm]


def run(*command):
    done = subprocess.run(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=HANGS,
        check=False,
    )
    assert done.returncode == 0, (command, done.stdout[-500:], done.stderr[-500:])
    return done.stdout


@pytest.fixture
def source(gateway, tmp_path):
    """Creates a datasource with this configuration; returns the URL of its port and the file to send."""
    gateway.create("converters", name="both", script=BOTH)
    file = tmp_path / "sent"
    file.write_bytes(BY_NAME)

    def make(name="field", **configuration):
        gateway.create(
            "datasources",
            name=name,
            type="coap",
            converter="both",
            configuration={"port": gateway.coap_port, **configuration},
            **({"routingKey": "key"} if "paths" not in configuration else {}),
        )
        return f"coap://127.0.0.1:{gateway.coap_port}", file

    return make


def told(gateway, count):
    """The path and the text of each message, when there are so many."""
    found = []

    def look():
        items = gateway.api("GET", "/messages?limit=100").json["items"]
        found[:] = [item for item in items if item["state"] in ("converted", "failed")]
        return len(found) == count

    wait_until(look, HANGS, f"{count} messages")
    values = []
    for item in found:
        output = gateway.api("GET", f"/messages/{item['id']}").json["output"]
        values.append(output[0]["telemetry"][0]["values"])
    return sorted((each["path"], each["text"]) for each in values)


def status(gateway, name="field"):
    return gateway.api("GET", f"/datasources/{name}").json.get("status", {})


@pytest.mark.parametrize("client", CLIENTS)
def test_burnt_in_paths_are_served_and_told(gateway, source, client):
    base, file = source(paths=["m", "c", "api/v1/*/telemetry"], timePaths=["t"])
    paths = ["api/v1/token/telemetry", "c", "m"]
    for path in paths:
        client(f"{base}/{path}", file)
    assert told(gateway, 3) == [(path, BY_NAME.decode()) for path in paths]


def test_libcoap_is_told_the_time(gateway, source):
    base, _ = source(paths=["m"], timePaths=["t"])
    before = int(time.time())
    answer = run(find("coap-client-notls"), "-m", "get", f"{base}/t", "-o", "/dev/stdout")
    assert before <= int.from_bytes(answer[:4], "big") <= int(time.time())


def test_two_datasources_with_one_path_are_refused_with_both_names(gateway, source):
    source("north", paths=["m", "api/v1/*/up"])
    for paths in (["m"], ["api/*/token/up"]):
        answer = gateway.api(
            "POST",
            "/datasources",
            {
                "name": "south",
                "type": "coap",
                "converter": "both",
                "configuration": {"port": gateway.coap_port, "paths": paths},
            },
        )
        said = json.dumps(answer.json) + json.dumps(status(gateway, "south"))
        assert "'south' needs /" in said and "'north' has /" in said
        gateway.api("DELETE", "/datasources/south")


@pytest.mark.parametrize("client", [libcoap, aiocoap])  # npm's coap splits it
def test_a_path_in_one_option_is_forgiven_and_counted(gateway, source, client):
    base, file = source(lenient=["slashes-in-path"])
    client(f"{base}/i%2Fkey", file)
    assert told(gateway, 1) == [("", BY_NAME.decode())]
    assert status(gateway)["quirks"] == {"slashes-in-path": 1}
    metrics = gateway.api("GET", "/metrics").body.decode()
    assert 'protocol="quirks",figure="slashes-in-path"} 1' in metrics


def test_a_client_that_gives_no_path_has_the_default_of_its_port(gateway, source):
    base, file = source(lenient=["no-path"])
    libcoap(base, file)
    assert told(gateway, 1) == [("", BY_NAME.decode())]


def test_blocks_under_one_message_id_after_the_other_are_all_stored(gateway, source):
    """libcoap sends a body in blocks of 16 bytes with leniency on: nothing that is right is read otherwise."""
    base, file = source(lenient=["all"])
    for _ in range(2):
        libcoap(f"{base}/i/key", file, "-b", "16", "-t", "json")
    assert told(gateway, 2) == [("", BY_NAME.decode())] * 2
    assert set(status(gateway)["quirks"].values()) == {0}
