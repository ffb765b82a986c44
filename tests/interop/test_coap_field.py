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

URI_PATH, LOCATION_PATH, CONTENT_FORMAT, BLOCK1, LOCATION_RESERVED = 11, 8, 12, 27, 136
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
@pytest.mark.parametrize(
    ("path", "quirks"),
    [
        ("i%2Fkey", ["slashes-in-path"]),
        ("%2Fi%2Fkey", ["leading-slash", "slashes-in-path"]),
        ("i/key%00", ["trailing-nul-in-path"]),
    ],
)
def test_an_odd_path_is_forgiven_and_counted(gateway, source, client, path, quirks):
    base, file = source(lenient=quirks)
    client(f"{base}/{path}", file)
    assert told(gateway, 1) == [("", BY_NAME.decode())]
    assert status(gateway)["quirks"] == dict.fromkeys(quirks, 1)
    metrics = gateway.api("GET", "/metrics").body.decode()
    assert all(f'protocol="quirks",figure="{quirk}"}} 1' in metrics for quirk in quirks)


@pytest.mark.parametrize("client", [libcoap, aiocoap])
def test_a_nul_behind_json_is_forgiven_and_counted(gateway, source, client):
    base, file = source(lenient=["trailing-nul-after-json"])
    file.write_bytes(BY_NAME + b"\0")
    client(f"{base}/i/key", file)
    assert told(gateway, 1) == [("", BY_NAME.decode())]
    assert status(gateway)["quirks"] == {"trailing-nul-after-json": 1}


def odd(base, *messages):
    """What aiocoap is answered to messages that it sends as they stand; see aiocoap_odd.py."""
    program = Path(__file__).parent / "aiocoap_odd.py"
    done = subprocess.run(
        [sys.executable, program, base.removeprefix("coap://")],
        input=json.dumps(messages), capture_output=True, text=True, timeout=HANGS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-500:]
    return done.stdout.splitlines()


KEY = [[URI_PATH, "i"], [URI_PATH, "key"]]
JSON = [CONTENT_FORMAT, 50]
BODY = BY_NAME.decode()


def in_two_blocks(later):
    """A body in blocks of 16 bytes; the second one has the options ``later``."""
    first = ["POST", [*KEY, JSON, [BLOCK1, 0 << 4 | 8]], BODY[:16]]
    return first, ["POST", [*later, [BLOCK1, 1 << 4]], BODY[16:]]


def is_said(expected, answer):
    """Whether an answer is this, its text perhaps cut to the request's size."""
    return len(answer) > len("4.08 a few") and expected.startswith(answer)


@pytest.mark.parametrize(
    ("later", "quirk", "name"),
    [([JSON], "path-in-first-block", "Uri-Path"), (KEY, "format-in-first-block", "Content-Format")],
)
def test_what_only_the_first_block_has_is_forgiven_where_the_datasource_says_so(
    gateway, source, later, quirk, name
):
    base, _ = source(lenient=[])
    first, last = odd(base, *in_two_blocks(later))
    assert (first, is_said(f"4.08 missing from block 0: {name}", last)) == ("2.31 ", True)
    forgiving = {"port": gateway.coap_port, "lenient": [quirk]}
    assert gateway.api("PATCH", "/datasources/field", {"configuration": forgiving}).status == 200
    assert odd(base, *in_two_blocks(later)) == ["2.31 ", "2.04 "]
    assert told(gateway, 1) == [("", BODY)]
    assert status(gateway)["quirks"] == {quirk: 1}


def test_4_08_says_which_block_is_missing(gateway, source):
    base, _ = source()
    first, last = in_two_blocks([*KEY, JSON])
    last[1][-1] = [BLOCK1, 2 << 4]
    answers = odd(base, first, last)
    assert (answers[0], is_said("4.08 block 1 is missing, got block 2 of 16 bytes", answers[1])) == (
        "2.31 ",
        True,
    )


def test_an_unknown_part_of_a_location_gets_4_02(gateway, source):
    base, _ = source()
    part = [LOCATION_RESERVED, "x"]
    with_location, alone = (
        odd(base, ["POST", [*KEY, *location, part], BODY]) for location in ([[LOCATION_PATH, "a"]], [])
    )
    assert is_said("4.02 unknown part of a location, option 136", *with_location)
    assert alone == ["2.04 "]


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
