"""The two devices of docs/coaps.md against a whole gateway: the commands there are these."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.peers.gateway import Gateway
from tests.peers.patience import HANGS
from tests.peers.process import find, free_udp_port, wait_until

DOCS = Path(__file__).parents[2] / "docs" / "coaps.md"

SECRET = "correct horse battery staple"
RESOURCES = """
[[credential]]
name = "meter-7"
identity = "sim-4711"
secrets = [{{ value = "correct horse battery staple" }}]
device = "meter-7"

[[datasource]]
name = "meters"
type = "coap"
routingKey = "meters"
converter = "json"
downlinkWindow = 0.001  # libcoap's client only asks: its 4.04 to a push would be final
[datasource.configuration]
interface = "127.0.0.1"
securityMode = "DTLS"
securePort = {port}
[datasource.configuration.dtls.x509]
pem = {{ certFile = "server.pem", keyFile = "server.key" }}
trustAnchors = ["ca.pem"]
"""


@pytest.fixture(scope="module")
def ca():
    return Authority()


@pytest.fixture(scope="module")
def port():
    return free_udp_port()


@pytest.fixture(scope="module")
def folder(ca, tmp_path_factory):
    folder = tmp_path_factory.mktemp("coaps")
    ca.issue("localhost").write(folder, "server")
    ca.issue("x", uris=["urn:dev:mac:70b3d5e050020901"]).write(folder, "device")
    (folder / "ca.pem").write_bytes(ca.pem())
    return folder


@pytest.fixture(scope="module")
def gateway(folder, port):
    settings = f'certificates = "{folder}"\n'
    with Gateway(folder / "gateway", RESOURCES.format(port=port), settings) as gateway:
        yield gateway


def post(port, *options, payload='{"temperature": 21.5}', wait=10):
    command = [
        find("coap-client-openssl"),
        "-m",
        "post",
        "-t",
        "json",
        "-e",
        payload,
        "-B",
        str(wait),
        "-v",
        "6",
    ]
    done = subprocess.run(
        [*command, *map(str, options), f"coaps://127.0.0.1:{port}/i/meters"],
        capture_output=True, text=True, timeout=HANGS, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_a_device_with_a_key(gateway, port):
    assert "2.04" in post(port, "-u", "sim-4711", "-k", SECRET)
    message = gateway.message_when("converted")
    assert message["metadata"]["identity"] == "meter-7"
    assert (message["metadata"]["dtlsIdentity"], message["metadata"]["identityType"]) == ("sim-4711", "psk")
    assert message["output"][0]["deviceName"] == "meter-7"


def simulate(port, identity, secret, *options):
    command = [sys.executable, "-m", "iotgw.ctl.main", "--json", "simulate", "coaps", "--port", str(port)]
    options = ["--path", "/i/meters", "--psk-identity", identity, "--psk", secret, "--rate", "0", *options]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=HANGS, check=False)
    return done.returncode, json.loads(done.stdout)


@pytest.mark.parametrize("secret", [SECRET, "0x" + SECRET.encode().hex()])
def test_simulated_devices_with_a_key(gateway, port, secret):
    code, summary = simulate(port, "sim-4711", secret, "--count", "6", "--devices", "3")
    assert (code, summary["answered"], summary["failed"]) == (0, 6, 0), summary
    message = gateway.message_when("converted")
    assert (message["metadata"]["dtlsIdentity"], message["metadata"]["identityType"]) == ("sim-4711", "psk")
    assert message["output"][0]["deviceName"].startswith("sensor-")
    # they say goodbye, so nothing is left
    gateway.wait_for(
        lambda: gateway.api("GET", "/datasources/meters/sessions").json["items"] == [], what="the end"
    )


def test_a_simulated_device_that_nobody_knows_is_told(port, gateway):
    code, summary = simulate(port, "nobody-{id}", SECRET, "--count", "1")
    assert code == 1 and summary["failed"] == 1
    assert summary["last_error"].startswith("the DTLS handshake failed: ")


def test_a_simulated_device_with_the_wrong_key_is_not_answered(port, gateway):
    _, summary = simulate(port, "sim-4711", "wrong", "--count", "1", "--patience", "0.5")
    assert (summary["answered"], summary["unanswered"]) == (0, 1)


@pytest.mark.parametrize("options", [("sim-4711", ""), ("", "x"), ("sim-4711", "0xno")])
def test_a_simulated_device_without_a_key_says_what_is_missing(port, options):
    code, answer = simulate(port, *options)
    assert code == 1 and "--psk" in answer["error"]


@pytest.mark.parametrize("client", ["coap-client-openssl", "coap-client-gnutls"])
@pytest.mark.parametrize("path", ["/i/meters", "/i/meters/meter-7"])
def test_a_device_observes_its_downlinks_at_the_path_of_its_uplinks(gateway, port, client, path):
    command = [find("stdbuf"), "-oL", find(client), "-s", "600", "-m", "get", "-u", "sim-4711", "-k", SECRET]
    items = [push(gateway, f"item {number};") for number in range(2)]
    sessions = "/datasources/meters/sessions"
    with subprocess.Popen(
        [*command, f"coaps://127.0.0.1:{port}{path}"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as observer:
        try:
            items.append(push(gateway, "item 2;"))
            for item in items:
                gateway.wait_for(
                    lambda item=item: gateway.api("GET", item).json["state"] == "DELIVERED", what=item
                )
        except AssertionError as error:
            state, open_now = observer.poll(), gateway.api("GET", sessions).json
            observer.kill()
            raise AssertionError(
                f"the client (it had ended with {state}) printed {observer.stdout.read()!r}; sessions: {open_now}; {error}"
            ) from None
        finally:
            observer.kill()
            for session in gateway.api("GET", sessions).json["items"]:  # it would be sent the next items, too
                gateway.api("DELETE", f"{sessions}/{session['id']}")
        assert observer.stdout.read() == b"item 0;item 1;item 2;"


def push(gateway, text):
    """Where an item for the device is."""
    made = gateway.api(
        "POST", "/devices/meter-7/downlinks?allowUnknown=true", {"data": text, "contentType": "TEXT"}
    )
    return f"/devices/meter-7/downlinks/{made.json['id']}"


def test_a_device_with_a_certificate(gateway, port, folder):
    options = ["-c", folder / "device.pem", "-j", folder / "device.key", "-R", folder / "ca.pem"]
    assert "2.04" in post(port, *options)
    wait_until(lambda: gateway.messages()[0]["metadata"]["identityType"] == "x509", what="the message")
    message = gateway.message_when("converted")
    assert message["metadata"]["identity"] == "70b3d5e050020901"


def test_a_device_whose_certificate_openssl_made(gateway, port, folder):
    """The commands of docs/coaps.md, with the CA added to the anchors: the file is read again."""
    script = DOCS.read_text().split("```sh\n")[2].partition("```")[0]
    makes = [line for line in script.replace("\\\n", "").splitlines() if line.startswith("openssl")]
    assert len(makes) == 3
    (folder / "made").mkdir()
    for line in makes:
        subprocess.run(line, shell=True, cwd=folder / "made", check=True, capture_output=True)
    with (folder / "ca.pem").open("a") as anchors:
        anchors.write((folder / "made" / "devices-ca.pem").read_text())
    gateway.wait_for(lambda: "read again" in gateway.api("GET", "/events").body.decode(), what="the event")
    options = ["-c", folder / "made/device.pem", "-j", folder / "made/device.key", "-R", folder / "ca.pem"]
    assert "2.04" in post(port, *options)
    wait_until(lambda: gateway.messages()[0]["metadata"]["identity"] == "meter-8", what="the message")


def test_who_is_connected_and_one_who_is_revoked(gateway, port):
    post(port, "-u", "sim-4711", "-k", SECRET)
    for session in gateway.api("GET", "/datasources/meters/sessions").json["items"]:
        assert session["cipher"] and session["received"] > 0
    (secret,) = gateway.api("GET", "/credentials/meter-7").json["secrets"]
    assert secret.pop("id")
    assert secret == {"value": "***", "encoding": "text", "notBefore": None, "notAfter": None}
    assert gateway.api("PATCH", "/credentials/meter-7", {"enabled": False}).status == 200
    assert "2.04" not in post(port, "-u", "sim-4711", "-k", SECRET, wait=2)


def test_secrets_are_nowhere_in_the_data_directory_in_the_clear(gateway):
    for file in gateway.data.rglob("*"):
        if file.is_file():
            assert b"correct horse" not in file.read_bytes(), file
