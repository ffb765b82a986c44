"""The process itself: signals, a second instance, a daemon, a changed resource."""

import contextlib
import json
import os
import signal
import subprocess
import sys

import pytest

from tests.peers.gateway import _TWISTD, ROOT, Gateway, request
from tests.peers.patience import HANGS
from tests.peers.process import accepts, free_udp_port, wait_until


def test_sigterm_ends_it_cleanly_with_everything_written(tmp_path):
    gateway = Gateway(tmp_path / "gateway")
    with gateway.start():
        gateway.create("datasources", name="http", type="http", routingKey="key", converter="json")
        for n in range(50):
            gateway.post("key", b'{"deviceName": "d", "n": %d}' % n)
        assert gateway.stop() in (0, -signal.SIGTERM)
    assert "iotgw has stopped" in gateway.output
    with gateway.start():
        assert len(gateway.messages(limit=100)) == 50


def test_the_admin_token_is_only_for_its_owner_and_never_logged(gateway):
    path = gateway.data / "admin-token"
    assert path.stat().st_mode & 0o777 == 0o600
    assert gateway.token not in gateway.output
    assert str(path) in gateway.output
    assert gateway.token not in (gateway.data / "iotgw.log").read_text()


def test_a_second_instance_on_the_same_data_is_refused_with_one_line(gateway):
    second = subprocess.run(
        [sys.executable, "-c", _TWISTD, "--nodaemon", "--pidfile=", "iotgw", "--config", gateway.config],
        capture_output=True, text=True, timeout=HANGS, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert second.returncode != 0
    lines = [line for line in (second.stdout + second.stderr).splitlines() if line.strip()]
    assert len(lines) == 1, lines
    assert "in use by another iotgw" in lines[0]


def test_a_wrong_setting_ends_the_start_with_one_line(tmp_path):
    config = tmp_path / "iotgw.toml"
    config.write_text("[store]\nmax-age = -5\n")
    ran = subprocess.run(
        [sys.executable, "-c", _TWISTD, "--nodaemon", "--pidfile=", "iotgw", "--config", config],
        capture_output=True, text=True, timeout=HANGS, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert ran.returncode != 0
    assert "store.max-age" in ran.stdout + ran.stderr
    assert "Traceback" not in ran.stdout + ran.stderr


def test_a_taken_api_port_ends_the_start_with_the_reason(gateway, tmp_path):
    other = Gateway(tmp_path / "other", settings="")
    other.config.write_text(other.config.read_text().replace(str(other.port), str(gateway.port)))
    assert other.launch().wait_for_end() != 0
    assert "can't start: api: can't listen on tcp:" in other.output
    assert "give another one" in other.output
    assert "Traceback" not in other.output


def test_sighup_applies_the_log_level(gateway):
    gateway.config.write_text(gateway.config.read_text() + '\n[log]\nlevel = "debug"\n')
    gateway.child.send_signal(signal.SIGHUP)
    wait_until(lambda: "settings reloaded" in gateway.output, what="the reload")
    gateway.config.write_text(gateway.config.read_text().replace("debug", "loud"))
    gateway.child.send_signal(signal.SIGHUP)
    wait_until(lambda: "log.level" in gateway.output, what="the refusal")
    assert gateway.ready()


def write_once_read(fifo, text):
    """The end of a FIFO for writing, as soon as the gateway reads it; a function that gives it the text."""

    def opened():
        with contextlib.suppress(OSError):  # ENXIO: nobody reads it yet
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        return None

    writing = wait_until(opened, what="the gateway to read its file")

    def give():
        os.write(writing, text.encode())
        os.close(writing)

    return give


@pytest.mark.parametrize("name", ["iotgw.toml", "resources.toml"])
def test_sighup_while_starting_is_kept_until_it_has_started(tmp_path, name):
    gateway = Gateway(tmp_path / "gateway", '[[converter]]\nname = "mine"\nlibrary = "json"\n')
    file = gateway.folder / name
    text = file.read_text()
    file.unlink()
    os.mkfifo(file)
    gateway.launch()
    with gateway:
        give = write_once_read(file, text)
        file.unlink()
        file.write_text(text)  # for who reads it again
        gateway.child.send_signal(signal.SIGHUP)
        give()
        gateway.wait_for(gateway.ready)
        gateway.wait_for(lambda: "settings reloaded" in gateway.output, what="the reload")
        assert gateway.output.index("is ready") < gateway.output.index("settings reloaded")
        assert gateway.output.count("settings reloaded") == 1


def test_sigterm_while_starting_closes_what_is_open(tmp_path):
    gateway = Gateway(tmp_path / "gateway")
    text = '[[converter]]\nname = "mine"\nlibrary = "json"\n'
    file = gateway.folder / "resources.toml"
    file.unlink()
    os.mkfifo(file)
    gateway.launch()
    with gateway:
        give = write_once_read(file, text)
        gateway.child.terminate()
        give()
        assert gateway.wait_for_end() in (0, -signal.SIGTERM)
    assert "iotgw has stopped" in gateway.output
    assert "Traceback" not in gateway.output
    file.unlink()
    with gateway.start():
        assert gateway.ready()


def test_a_start_that_fails_stops_what_has_started(gateway, tmp_path):
    other = Gateway(tmp_path / "other", '[[converter]]\nname = "mine"\nlibrary = "json"\n')
    config = other.config.read_text()
    other.config.write_text(config.replace(str(other.port), str(gateway.port)))
    other.launch()
    assert other.wait_for_end() == 1
    assert other.output.index("can't start") < other.output.index("iotgw has stopped")
    assert [line for line in other.output.splitlines() if "can't start" in line][1:] == []
    assert not list(other.data.glob("*-wal"))  # the databases were closed
    other.config.write_text(config)
    with other.start():
        assert other.api("GET", "/converters/mine").status == 200


def test_it_runs_as_a_daemon(tmp_path):
    gateway = Gateway(tmp_path / "gateway")
    pidfile = tmp_path / "iotgw.pid"
    subprocess.run(
        [sys.executable, "-c", _TWISTD, f"--pidfile={pidfile}", "iotgw", "--config", gateway.config],
        check=True, timeout=HANGS, env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd=tmp_path,
    )  # fmt: skip
    try:
        wait_until(gateway.ready, what="the daemon to be ready")
    finally:
        pid = int(wait_until(lambda: pidfile.exists() and pidfile.read_text()))
        os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not accepts(gateway.port), what="the daemon to stop")


def test_a_datasource_opens_changes_and_closes_at_once_and_others_never_notice(gateway):
    first, second = free_udp_port(), free_udp_port()
    gateway.create("datasources", name="http", type="http", routingKey="key", converter="json")
    made = gateway.create(
        "datasources", name="coap", type="coap", routingKey="k", converter="json",
        configuration={"port": first, "interface": "127.0.0.1"},
    )  # fmt: skip
    assert f"{first}" in str(gateway.api("GET", "/datasources/coap").json["status"])
    changed = {key: made[key] for key in ("name", "type", "routingKey", "converter")}
    changed["configuration"] = {"port": second, "interface": "127.0.0.1"}
    assert gateway.api("PUT", "/datasources/coap", changed).status == 200
    assert f"{second}" in str(gateway.api("GET", "/datasources/coap").json["status"])
    assert gateway.post("key", b'{"deviceName": "d"}').status == 204
    assert gateway.api("DELETE", "/datasources/coap").status == 200
    assert gateway.api("GET", "/datasources/coap").status == 404
    assert gateway.post("key", b'{"deviceName": "d"}').status == 204


def test_health_needs_no_token_and_everything_else_does(gateway):
    assert request("GET", f"{gateway.url}/health/live").status == 200
    assert request("GET", f"{gateway.url}/api/v1/messages").status == 401
    assert (
        request("GET", f"{gateway.url}/api/v1/messages", headers={"Authorization": "Bearer no"}).status == 401
    )


def test_one_message_can_be_followed_by_its_id_through_the_debug_log(tmp_path, http_sink):
    with Gateway(tmp_path / "gateway", settings='[log]\nlevel = "debug"\n').start() as gateway:
        gateway.create("datasources", name="http", type="http", routingKey="key", converter="json")
        gateway.create("integrations", name="web", type="http", configuration={"url": f"{http_sink.url}/x"})
        id = gateway.post("key", b'{"deviceName": "d", "t": 1}').headers["X-Message-Id"]
        log = gateway.data / "iotgw.log"

        def told():
            lines = [json.loads(line) for line in log.read_text().splitlines()]
            return [line["message"] for line in lines if line.get("messageId") == id]

        wait_until(lambda: len(told()) == 4, what="four lines")
        stored, converted, waits, delivered = told()
    assert "27 bytes from http are stored" in stored
    assert "converted by" in converted
    assert "of d waits" in waits
    assert delivered.endswith("at web: delivered")


def test_an_operator_who_lost_all_tokens_asks_for_a_new_one_by_a_file(gateway):
    lost = gateway.token
    gateway.stop()
    wish = gateway.data / "new-admin-token"
    wish.touch()
    gateway.start()
    assert gateway.token != lost
    assert gateway.api("POST", "/tokens", {"name": "next", "role": "admin", "tenant": "*"}).status == 201
    assert not wish.exists()
