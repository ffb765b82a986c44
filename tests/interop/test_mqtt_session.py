"""The session that a broker keeps for the real gateway: over restarts, kills, changes and the datasource's end."""

from __future__ import annotations

import base64
import socket
import subprocess

import pytest

from iotgw.wire import mqtt
from tests.peers.gateway import Gateway
from tests.peers.mosquitto import Mosquitto
from tests.peers.process import find, wait_until

pytestmark = pytest.mark.interop


@pytest.fixture
def house(tmp_path):
    """A gateway with an mqtt datasource of default settings, and its broker."""
    with Mosquitto(tmp_path / "broker", persistent=True) as broker, Gateway(tmp_path / "gateway") as gateway:
        gateway.create(
            "datasources", name="field", type="mqtt", reply="stored",
            configuration={"host": "127.0.0.1", "port": broker.port, "topics": ["devices/+/up"]},
        )  # fmt: skip
        connected(gateway)
        yield gateway, broker


def connected(gateway):
    wait_until(lambda: gateway.api("GET", "/datasources/field").json["status"]["state"] == "connected")


def publish(broker, *payloads, topic="devices/d1/up"):
    """Returns when the broker has acknowledged all of them."""
    command = [find("mosquitto_pub"), "-p", str(broker.port), "-q", "1", "-t", topic, "-l"]
    subprocess.run(command, check=True, timeout=20, input="\n".join(payloads) + "\n", text=True)


def texts(gateway):
    """The payloads of all messages, oldest first."""
    return [base64.b64decode(item["payload"]).decode() for item in reversed(gateway.all_messages())]


def events(gateway, kind):
    return [e for e in gateway.api("GET", "/events?limit=200").json["items"] if e["type"].endswith(kind)]


def keeps(broker, client):
    """Whether the broker has a session of a client: what its CONNACK says to that client (it has one afterwards)."""
    session = mqtt.MqttSession(mqtt.V311)
    with socket.create_connection(("127.0.0.1", broker.port), timeout=20) as connection:
        connection.sendall(session.connect(client, clean=False))
        (said,) = session.receive(connection.recv(4))
        connection.sendall(mqtt.BYE)
    return said.session_present


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_what_a_broker_acknowledged_while_the_gateway_was_away_arrives(house, end):
    gateway, broker = house
    publish(broker, "before")
    wait_until(lambda: len(gateway.messages()) == 1)
    getattr(gateway, end)()
    publish(broker, *(f"away {n}" for n in range(50)))
    gateway.start()
    wait_until(lambda: len(set(texts(gateway))) == 51)
    assert set(texts(gateway)) == {"before", *(f"away {n}" for n in range(50))}


def test_what_is_published_around_a_kill_is_all_there(house):
    """Not one that the broker acknowledged is missing, wherever the kill came."""
    gateway, broker = house
    sent = []
    for turn in range(3):
        part = [f"{turn}-{n}" for n in range(60)]
        publish(broker, *part[:30])
        gateway.kill()
        publish(broker, *part[30:])
        sent += part
        gateway.start()
    wait_until(lambda: set(texts(gateway)) == set(sent))


def test_a_topic_that_was_removed_while_the_datasource_was_off_is_unsubscribed(house):
    gateway, broker = house
    configuration = {"host": "127.0.0.1", "port": broker.port, "topics": ["devices/+/up", "old/#"]}
    gateway.api("PATCH", "/datasources/field", {"configuration": configuration})
    connected(gateway)
    gateway.api("PATCH", "/datasources/field", {"enabled": False})
    gateway.api(
        "PATCH", "/datasources/field", {"configuration": {**configuration, "topics": ["devices/+/up"]}}
    )
    gateway.stop()
    gateway.start()
    gateway.api("PATCH", "/datasources/field", {"enabled": True})
    connected(gateway)
    file = next(gateway.data.glob("mqtt-*.json"))
    wait_until(lambda: "old/#" not in file.read_text())
    publish(broker, "no", topic="old/d1")
    publish(broker, "yes")
    wait_until(gateway.messages)
    assert texts(gateway) == ["yes"]


@pytest.mark.parametrize("is_enabled", [True, False])
def test_a_deleted_datasource_ends_its_session_also_when_it_was_off(house, is_enabled):
    gateway, broker = house
    client = gateway.api("GET", "/datasources/field").json["status"]["clientId"]
    gateway.api("PATCH", "/datasources/field", {"enabled": is_enabled})
    if not is_enabled:
        assert keeps(broker, client)
    gateway.api("DELETE", "/datasources/field")
    wait_until(lambda: not list(gateway.data.glob("mqtt-*.json")))
    gateway.stop()  # it waits for the goodbye
    assert not keeps(broker, client)


def test_a_datasource_of_before_that_does_not_say_is_told_of_at_the_first_start(house):
    gateway, _ = house
    assert not events(gateway, "session-kept")
    gateway.stop()
    for file in gateway.data.glob("mqtt-*.json"):  # as an older version leaves the directory
        file.unlink()
    gateway.start()
    connected(gateway)
    wait_until(lambda: events(gateway, "session-kept"))
    (said,) = events(gateway, "session-kept")
    assert said["severity"] == "warning"
    assert "set it to true to have it as before" in said["message"]
    gateway.stop()
    gateway.start()
    wait_until(lambda: len(events(gateway, "connected")) == 3)  # what is said at the start is said before
    assert len(events(gateway, "session-kept")) == 1


def own_files(gateway):
    return sorted(path.name for path in gateway.data.glob("mqtt-*.json"))


def test_a_kill_before_a_deleted_datasource_s_session_has_ended_has_it_ended_at_the_next_start(house):
    gateway, broker = house
    client = gateway.api("GET", "/datasources/field").json["status"]["clientId"]
    broker.freeze()
    gateway.api("DELETE", "/datasources/field?backlog=drop")
    gateway.kill()
    broker.thaw()
    gateway.start()
    wait_until(lambda: gateway.api("GET", "/datasources/field").status == 404, what="the datasource to go")
    assert own_files(gateway) == [] and not events(gateway, "session-left")
    assert not keeps(broker, client)


def test_a_kill_before_the_session_of_earlier_settings_has_ended_has_it_ended_at_the_next_start(house):
    gateway, broker = house
    before = gateway.api("GET", "/datasources/field").json
    configuration = {**before["configuration"], "clientId": "another"}
    broker.freeze()
    assert gateway.api("PATCH", "/datasources/field", {"configuration": configuration}).status == 200
    wait_until(lambda: [name for name in own_files(gateway) if name.endswith("-left.json")])
    gateway.kill()
    broker.thaw()
    gateway.start()
    connected(gateway)
    wait_until(lambda: not [name for name in own_files(gateway) if name.endswith("-left.json")])
    assert not events(gateway, "session-left")
    assert not keeps(broker, before["status"]["clientId"])


def test_a_session_that_only_earlier_settings_could_end_is_told_of_after_a_kill(house, tmp_path):
    gateway, broker = house
    before = gateway.api("GET", "/datasources/field").json
    broker.freeze()
    with Mosquitto(tmp_path / "other", persistent=True) as other:
        configuration = {**before["configuration"], "port": other.port}
        gateway.api("PATCH", "/datasources/field", {"configuration": configuration})
        wait_until(lambda: [name for name in own_files(gateway) if name.endswith("-left.json")])
        gateway.kill()
        gateway.start()
        connected(gateway)
        (event,) = wait_until(lambda: events(gateway, "session-left"))
        assert f"127.0.0.1:{broker.port}" in event["message"]
        assert len(own_files(gateway)) == 1
    broker.thaw()
