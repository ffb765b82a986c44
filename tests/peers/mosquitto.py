"""A real mosquitto, and its command-line client."""

import json
import subprocess
import threading

from .process import Process, accepts, find, free_port


class Mosquitto(Process):
    """A broker on a port of its own; it keeps its port (and its state, when ``persistent``) over restarts."""

    def __init__(self, folder, port=None, config="", persistent=False):
        folder.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        path = folder / f"mosquitto-{self.port}.conf"
        path.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nuser root\nmax_queued_messages 0\n"
            + (
                f"persistence true\npersistence_location {folder}/\nautosave_interval 1\n"
                if persistent
                else ""
            )
            + config
        )
        super().__init__([find("mosquitto"), "-c", path], folder / "mosquitto.log")

    def start(self):
        super().start()
        self.wait_for(lambda: accepts(self.port))
        return self

    def subscribe(self, topic="#", qos=1, client_id=None):
        return Subscriber(self.port, topic, qos, client_id)


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
        assert self._subscribed.wait(20), "mosquitto_sub did not subscribe"

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
