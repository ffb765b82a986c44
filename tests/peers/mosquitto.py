"""A real mosquitto, and its command-line client."""

import json
import subprocess
import threading
from pathlib import Path

import paho.mqtt.client as paho

from .process import Process, accepts, find, free_port, wait_until


class Mosquitto(Process):
    """A broker on a port of its own; it keeps its port (and its state, when ``persistent``) over restarts."""

    def __init__(self, folder, port=None, config="", persistent=False, host="127.0.0.1"):
        folder.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self.host = host
        path = folder / f"mosquitto-{self.port}.conf"
        path.write_text(
            f"listener {self.port} {host}\nallow_anonymous true\nuser root\nmax_queued_messages 0\n"
            + (
                f"persistence true\npersistence_location {folder}/\nautosave_interval 1\n"
                if persistent
                else ""
            )
            + config
        )
        super().__init__([find("mosquitto"), "-c", path], folder / "mosquitto.log")

    def ready(self):
        return accepts(self.port, self.host)

    def subscribe(self, topic="#", qos=1, client_id=None):
        return Subscriber(self.port, topic, qos, client_id)


class SavingMosquitto(Mosquitto):
    """One that writes each change to disk. It acknowledges what it has taken in one turn of its loop before it writes that, so it is killed when
    its log says that all is written."""

    def __init__(self, folder, host="127.0.0.1"):
        config = "autosave_on_changes true\nmax_inflight_messages 0\nlog_type all\n"
        super().__init__(folder, config=config, persistent=True, host=host)
        self._half = folder / "mosquitto.db.new"

    def kill(self):
        """Kill it at once, while it holds nothing that it acknowledged in memory alone."""
        wait_until(self._is_frozen_in_peace, 60, "all to be on disk")
        super().kill()

    def _is_frozen_in_peace(self):
        self.freeze()
        wait_until(self._stands_still, what="mosquitto to stand still")
        since = self.output.rpartition("Saving in-memory database")[2]
        if "Sending PUBACK" not in since and not self._half.exists():
            return True
        self.thaw()
        return False

    def _stands_still(self):
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


class Subscriber:
    """``mosquitto_sub`` with what it printed: a list of (topic, payload)."""

    def __init__(self, port, topic, qos=1, client_id=None):
        keep = ["-c", "-i", client_id] if client_id else []
        self.messages = []
        self._child = subprocess.Popen(
            [find("stdbuf"), "-oL", find("mosquitto_sub"), "-p", str(port), "-t", topic, "-q", str(qos), "-d",
             "-F", "MSG %j", *keep],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self._subscribed = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()
        try:
            wait_until(self._subscribed.is_set, what="mosquitto_sub to subscribe")
        except BaseException:
            self.close()
            raise

    def _read(self):
        for line in self._child.stdout:
            if line.startswith("MSG "):
                item = json.loads(line[4:])
                self.messages.append((item["topic"], item["payload"]))
            elif "SUBACK" in line:
                self._subscribed.set()

    @property
    def documents(self):
        """The payloads as JSON values."""
        return [
            payload if isinstance(payload, dict | list) else json.loads(payload)
            for _, payload in list(self.messages)
        ]

    def close(self):
        self._child.kill()
        self._child.wait()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


class Recorder:
    """Keeps what a broker hands out, in order, over the broker's deaths; `attach` to each new one.

    It subscribes with QoS 0: an acknowledgement to a broker that was just killed fails, and paho then leaves
    unread what the broker had sent before.
    """

    def __init__(self, port, topic="#"):
        self._port = port
        self._topic = topic
        self.messages = []
        self._gone = threading.Event()
        self._client = None

    def attach(self):
        """Subscribe at a broker that runs."""
        subscribed = threading.Event()
        self._gone.clear()
        self._client = client = paho.Client(
            paho.CallbackAPIVersion.VERSION2, clean_session=True, reconnect_on_failure=False
        )
        client.on_message = lambda _client, _data, message: self.messages.append(
            (message.topic, message.payload)
        )
        client.on_subscribe = lambda *_: subscribed.set()
        client.on_disconnect = lambda *_: self._gone.set()
        client.connect("127.0.0.1", self._port)
        client.loop_start()
        client.subscribe(self._topic, 0)
        wait_until(subscribed.is_set, what="the broker to answer a subscription")

    def drain(self):
        """The broker is dead: read what it said until then."""
        wait_until(self._gone.is_set, what="the broker's end to be noticed")
        self._client.loop_stop()

    def close(self):
        self._client.disconnect()
        self._client.loop_stop()
