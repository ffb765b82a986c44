"""Every vendor frame that the facts hold, through the running gateway: in over TCP or UDP, with the shipped
resources and bundled converters, seen at an HTTP server and at an MQTT broker."""

from __future__ import annotations

import json
import re
import resource
import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.peers.coap import coap_client
from tests.peers.gateway import Gateway
from tests.peers.patience import HANGS
from tests.peers.process import find, free_port, free_udp_port, wait_until

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "iotgw" / "converters" / "library"
PORTS = {"5683": free_udp_port, "55345": free_port, "5600": free_port, "1064": free_udp_port}


def vectors(name):
    return json.loads((LIBRARY / name / "vectors.json").read_text())


def shipped_resources():
    """``etc/resources.toml`` on ports of the test's own; the port that took each one's place."""
    text = (ROOT / "etc" / "resources.toml").read_text()
    ports = {}
    for port, free in PORTS.items():
        ports[port] = free()
        text, count = re.subn(rf"port = {port}\b", f"port = {ports[port]}", text)
        assert count == (2 if port == "5600" else 1), port
    return text, {int(port): taken for port, taken in ports.items()}


@pytest.fixture
def field(tmp_path, http_sink, mosquitto):
    resources, ports = shipped_resources()
    with Gateway(tmp_path / "gateway", resources).start() as gateway:
        gateway.ports = ports
        gateway.create("integrations", name="http", type="http", configuration={"url": http_sink.url})
        gateway.create(
            "integrations", name="mqtt", type="mqtt",
            configuration={"host": "127.0.0.1", "port": mosquitto.port, "topic": "up/{{ deviceName }}"},
        )  # fmt: skip
        yield gateway


def send(port, data, size=0):
    """Send over TCP in pieces, hang up when the server has answered or has nothing to say."""
    with socket.create_connection(("127.0.0.1", port), timeout=HANGS) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(data), size or len(data)):
            connection.sendall(data[start : start + (size or len(data))])
        connection.shutdown(socket.SHUT_WR)
        heard = b""
        while more := connection.recv(4096):
            heard += more
    return heard


def readings(document):
    """Who, and what was read: without times, which count from when a frame came."""
    telemetry = document["telemetry"]
    telemetry = telemetry if isinstance(telemetry, list) else [telemetry]
    values = [entry.get("values", entry) for entry in telemetry]
    attributes = dict(document.get("attributes", {}))
    if "modelCandidates" in attributes:
        # their order counts what the device sent before
        attributes["modelCandidates"] = sorted(attributes["modelCandidates"].split(","))
    return document["deviceName"], document["deviceType"], attributes, values


def canonical(documents):
    """Texts that are the same for the same readings; 3 and 3.0 are."""
    texts = (json.dumps(readings(document), sort_keys=True) for document in documents)
    return sorted(json.dumps(json.loads(text, parse_int=float)) for text in texts)


def assert_arrived(sink, broker, expected):
    """The sink and the broker have exactly these outputs, in whatever order of devices."""
    wanted = canonical(expected)
    wait_until(lambda: len(sink.documents) >= len(wanted), 30, "every output at the web server")
    assert canonical(sink.documents) == wanted
    wait_until(lambda: len(broker.documents) >= len(wanted), 30, "every output at the broker")
    assert canonical(broker.documents) == wanted


@pytest.mark.parametrize("size", [0, 1, 7])
def test_every_tekelek_frame(field, http_sink, mosquitto, size):
    cases = [case for name in ("tekelek/ultrasonic", "tekelek/logger") for case in vectors(name)]
    cases = [case for case in cases if case["metadata"].keys().isdisjoint({"tankHeight", "s26", "identity"})]
    assert len(cases) == 40
    with mosquitto.subscribe("up/#") as broker:
        for case in cases:
            heard = send(field.ports[55345], bytes.fromhex(case["payload"]), size)
            assert heard.endswith(b",R3=ACTIVE,R1=80\r\n")
        assert_arrived(http_sink, broker, [case["output"] for case in cases])


DRAGINO = (
    "cpn01",
    "n95s31b",
    "nbsn95",
    "ndds75",
    "nds01",
    "nds03a",
    "nlms01",
    "nmds200",
    "nse01",
    "nsph01",
    "ps-nb",
    "sn50v3-cb",
    "sw3l",
    "generic",
)


@pytest.mark.parametrize("size", [0, 1, 7])
def test_every_dragino_frame(field, http_sink, mosquitto, size):
    """With nothing set up, also of models whose frames look alike."""
    cases = [case for name in DRAGINO for case in vectors(f"dragino/{name}")]
    with mosquitto.subscribe("up/#") as broker:
        for case in cases:
            send(field.ports[5600], bytes.fromhex(case["payload"]), size)
        assert_arrived(http_sink, broker, [case["output"] for case in cases])


def test_every_dragino_frame_in_a_datagram(field, http_sink):
    cases = [case for name in DRAGINO for case in vectors(f"dragino/{name}")]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as node:
        for case in cases:
            node.sendto(bytes.fromhex(case["payload"]), ("127.0.0.1", field.ports[5600]))
    wait_until(lambda: len(http_sink.documents) >= len(cases), 30, "every output at the web server")
    assert canonical(http_sink.documents) == canonical(case["output"] for case in cases)


FRAMES = json.loads((ROOT / "tests" / "data" / "dragino.json").read_text())


def test_every_dragino_frame_of_the_facts_as_hexadecimal_text(field, http_sink):
    """The stated header and model, whatever form a transport gives the frame."""
    for frame in FRAMES:
        send(field.ports[5600], frame["hex"].encode())
    wait_until(lambda: len(http_sink.documents) >= len(FRAMES), 30, "every output at the web server")
    seen = {document["deviceName"]: document for document in http_sink.documents}
    for frame in FRAMES:
        name, type_, attributes, values = readings(seen[frame.get("imei") or frame["deviceId"]])
        assert (type_, attributes["generation"]) == (frame["model"], frame["generation"]), name
        assert attributes.get("modelGuessed", False) == ("candidates" in frame)
        for key in ("batteryVolts", "csq"):
            assert values[0][key] == frame.get(key, values[0][key])


def test_a_model_that_is_set_ends_the_guessing(field, http_sink):
    frame = bytes.fromhex(vectors("dragino/nlms01")[0]["payload"])
    configuration = field.api("GET", "/datasources/dragino").json["configuration"]
    configuration["devices"] = {"868411056754138": {"model": "NSPH01"}}
    send(field.ports[5600], frame)
    wait_until(lambda: http_sink.documents, 20, "the guess at the web server")
    assert field.api("PATCH", "/datasources/dragino", {"configuration": configuration}).status == 200
    wait_until(lambda: try_to_connect(field.ports[5600]), 20, "the datasource with its new settings")
    send(field.ports[5600], frame)
    wait_until(lambda: len(http_sink.documents) == 2, 20, "both readings at the web server")
    (_, guessed, before, _), (_, told, after, values) = map(readings, http_sink.documents)
    assert (guessed, before["modelGuessed"]) == ("NLMS01", True)
    assert (told, after["modelGuessed"]) == ("NSPH01", False) and "modelCandidates" not in after
    assert values[0]["soilPh"] == 5.49


def try_to_connect(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_lobaro_s_documented_datagram(field, http_sink, mosquitto):
    field.api("PATCH", "/datasources/lobaro-udp", {"enabled": True})
    case = vectors("lobaro/wmbus")[0]
    expected = json.loads(json.dumps(case["output"]))
    # over this port an envelope without q is of the kind "udp"
    values = expected["telemetry"][0]["values"]
    expected["telemetry"][0]["values"] = {
        **{f"udp.{key}": values[key] for key in ("rssi", "vbat", "temperature", "monitor", "telegram")},
        "batteryVolts": values["batteryVolts"],
    }
    with mosquitto.subscribe("up/#") as broker, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        for _ in range(2):
            device.sendto(bytes.fromhex(case["payload"]), ("127.0.0.1", field.ports[1064]))
        assert_arrived(http_sink, broker, [expected])
    status = field.api("GET", "/datasources/lobaro-udp").json
    assert status["status"]["duplicates"] == 1


def test_the_shipped_mqtt_datasource_and_lobaro_s_topics_name_devices(field, http_sink, mosquitto):
    """Neither document says which device it is from; the topics do."""
    configuration = field.api("GET", "/datasources/mqtt").json["configuration"]
    broker = {"host": "127.0.0.1", "port": mosquitto.port}
    patch = {"enabled": True, "configuration": configuration | broker}
    assert field.api("PATCH", "/datasources/mqtt", patch).status == 200
    field.create(
        "datasources", name="lobaro", type="mqtt", converter="lobaro/wmbus",
        configuration={**broker, "preset": "lobaro"},
    )  # fmt: skip
    for name in ("mqtt", "lobaro"):
        field.wait_for(lambda name=name: is_connected(field, name), what=f"{name} to be connected")
    publish(mosquitto, "devices/meter-7/up", '{"temperature": 21.5}')
    publish(mosquitto, "LOB/70b3d5e050020901/up/data", '{"n": 1, "d": {"level": 4}}')
    wait_until(lambda: len(http_sink.documents) == 2, 20, "both at the web server")
    seen = {document["deviceName"]: readings(document)[3] for document in http_sink.documents}
    assert seen == {"meter-7": [{"temperature": 21.5}], "70b3d5e050020901": [{"level": 4}]}


def publish(broker, topic, text):
    command = [find("mosquitto_pub"), "-p", str(broker.port), "-q", "1", "-t", topic, "-m", text]
    subprocess.run(command, check=True, timeout=HANGS)


def is_connected(field, name):
    return field.api("GET", f"/datasources/{name}").json["status"]["state"] == "connected"


def test_a_node_and_a_lobaro_device_over_coap_by_libcoap_s_client(field, http_sink, mosquitto):
    node, gateway = vectors("dragino/ndds75")[0], vectors("lobaro/wmbus")[0]
    shipped = field.api("GET", "/datasources/dragino").json
    port = field.ports[5683]
    field.create(
        "datasources", name="nodes", type="dragino-coap", converter=shipped["converter"],
        converters=shipped["converters"], configuration={"port": port, "path": "mqtt"},
    )  # fmt: skip
    field.create(
        "datasources",
        name="lobaro",
        type="lobaro-coap",
        converter="lobaro/wmbus",
        configuration={"port": port},
    )
    field.api("POST", "/devices/867787054545078/downlinks?allowUnknown=true", {"data": "AQADhA=="})
    with mosquitto.subscribe("up/#") as broker:
        printed = coap_client(f"coap://127.0.0.1:{port}/mqtt/coap", node["payload"].encode(), method="put")
        assert printed.strip() == "01000384"
        # 308 octets in blocks of 64
        coap_client(
            f"coap://127.0.0.1:{port}/any/path", bytes.fromhex(gateway["payload"]), options=("-b", "64")
        )
        assert_arrived(http_sink, broker, [node["output"], gateway["output"]])


BAD = {
    "another protocol": (b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n", "expected a Tekelek frame"),
    "a truncated frame": (
        bytes.fromhex(vectors("tekelek/logger")[0]["payload"])[:40],
        "expected the rest of a frame",
    ),
    "a wrong product and checksum": (b"\x63" + b"\xff" * 60, "expected a Tekelek frame"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_bytes_are_kept_with_a_reason_and_disturb_nobody(field, http_sink, name):
    data, reason = BAD[name]
    good = next(case for case in vectors("tekelek/logger") if "sheet 822 cell S7" in case["name"])
    with socket.create_connection(("127.0.0.1", field.ports[55345]), timeout=HANGS) as other:
        other.sendall(bytes.fromhex(good["payload"])[:70])
        send(field.ports[55345], data)
        failed = field.message_when("failed", datasource="tekelek")
        assert reason in failed["error"]["message"]
        other.sendall(bytes.fromhex(good["payload"])[70:])
        assert other.recv(4096).endswith(b"R1=80\r\n")
    wait_until(lambda: http_sink.documents, 20, "the good frame at the web server")
    assert len(http_sink.documents) == 1


def test_a_command_queued_over_the_api_reaches_the_device_with_its_next_frame(field):
    frame = bytes.fromhex(
        next(c for c in vectors("tekelek/logger") if "sheet 822 cell S7" in c["name"])["payload"]
    )
    assert send(field.ports[55345], frame) == b"TEK822,R3=ACTIVE,R1=80\r\n"
    field.message_when("converted", datasource="tekelek")
    answer = field.api(
        "POST",
        "/devices/864431047987054/downlinks?allowUnknown=true",
        {"data": "R1=80", "contentType": "TEXT"},
    )
    assert answer.status in (200, 201, 202), answer.body
    assert send(field.ports[55345], frame) == b"TEK822,R1=80\r\n"


def test_a_downlink_queued_over_the_api_reaches_a_node_that_listens(field):
    frame = bytes.fromhex(vectors("dragino/ndds75")[0]["payload"])
    send(field.ports[5600], frame)
    field.message_when("converted", datasource="dragino")
    with socket.create_connection(("127.0.0.1", field.ports[5600]), timeout=HANGS) as node:
        node.sendall(frame)
        wait_until(lambda: len(field.messages(datasource="dragino", state="converted")) == 2)
        answer = field.api(
            "POST", "/devices/867787054545078/downlinks?allowUnknown=true", {"data": "AQADhA=="}
        )
        assert answer.status in (200, 201, 202), answer.body
        assert node.recv(100) == bytes.fromhex("01000384")


def memory(pid):
    """The megabytes that a process and its children take, shared pages counted once."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    share = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    return int(share[1]) / 1024 + sum(memory(int(child)) for child in children)


def test_500_tekelek_sessions_and_2000_idle_connections_at_once(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 4096:
        pytest.skip("this machine allows too few open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    ports = free_port(), free_port()
    sources = "".join(
        f"[[datasource]]\nname = '{type_}'\ntype = '{type_}'\nconverter = 'tekelek/ultrasonic'\n"
        f"configuration = {{ port = {port}, idleTimeout = 600.0 }}\n"
        for type_, port in zip(("tekelek", "tcp"), ports, strict=True)
    )
    frame = bytes.fromhex(
        next(c for c in vectors("tekelek/ultrasonic") if "sheet 811 cell S8" in c["name"])["payload"]
    )
    with Gateway(tmp_path / "gateway", sources).start() as gateway, ExitStack() as connections:

        def connect(port):
            return connections.enter_context(socket.create_connection(("127.0.0.1", port), timeout=HANGS))

        for _ in range(2000):
            connect(ports[1])
        sessions = [connect(ports[0]) for _ in range(500)]
        for session in sessions:
            session.sendall(frame[:70])
        for session in sessions:
            session.sendall(frame[70:])
        for session in sessions:
            assert session.recv(200) == b"TEK811,R3=ACTIVE,R1=80\r\n"
        assert memory(gateway.pid) < 150
