"""Targets of every type, each a real server that can be killed and knows what arrived."""

import json

from tests.peers.http_sink import HttpSink
from tests.peers.mosquitto import Mosquitto, Recorder
from tests.peers.sshd import Sshd

from .delivering import numbers


class Http:
    """``configuration(port)`` leads there by that port."""

    type = "http"
    batch = {}

    def __init__(self, folder):
        self.server = HttpSink(folder / "sink", persistent=True)

    def configuration(self, port):
        return {"url": f"http://127.0.0.1:{port}", "concurrency": 4, "timeout": 5.0, **self.batch}

    def start(self):
        self.server.start()

    def kill(self):
        self.server.kill()

    def arrived(self):
        """``(device, n)`` pairs."""
        return numbers(self.server.documents)

    def close(self):
        self.server.kill()


class HttpBatches(Http):
    batch = {"batch": "array", "batchSize": 20}

    def arrived(self):
        return numbers(document for batch in self.server.documents for document in batch)


class ThingsBoardHttp(Http):
    """A device's token is its name."""

    type = "thingsboard-http"
    batch = {"token": "{{ deviceName }}", "downlinks": False}

    def arrived(self):
        return [
            (request["path"].split("/")[3], entry["values"]["n"])
            for request in self.server.received
            if request["path"].endswith("/telemetry")
            for entry in json.loads(request["body"])
        ]


class Mqtt:
    type = "mqtt"
    more = {}

    def __init__(self, folder):
        self.server = Mosquitto(folder / "mosquitto", config="max_inflight_messages 0\n")
        self.recorder = Recorder(self.server.port)

    def configuration(self, port):
        return {"host": "127.0.0.1", "port": port, **self.more}

    def start(self):
        self.server.start()
        self.recorder.attach()

    def kill(self):
        self.server.kill()
        self.recorder.drain()

    def arrived(self):
        return numbers(json.loads(payload) for _, payload in list(self.recorder.messages))

    def close(self):
        self.recorder.close()
        self.server.kill()


class ThingsBoard(Mqtt):
    type = "thingsboard"
    more = {"downlinks": False}

    def arrived(self):
        return [
            (device, entry["values"]["n"])
            for topic, payload in list(self.recorder.messages)
            if topic == "v1/gateway/telemetry"
            for device, entries in json.loads(payload).items()
            for entry in entries
        ]


class Sftp:
    """The order of files is by their names: a file that comes again replaces itself."""

    type = "sftp"

    def __init__(self, folder):
        self.server = Sshd(folder / "sshd")

    def configuration(self, port):
        return {
            "host": "127.0.0.1", "port": port, "username": "root", "timeout": 10.0,
            "privateKey": self.server.user_key.read_text(), "hostKeys": [self.server.host_public_key],
            "path": f"{self.server.root}/{{{{ deviceName }}}}/{{{{ id }}}}.json",
        }  # fmt: skip

    def start(self):
        self.server.start()

    def kill(self):
        self.server.kill_all()

    def arrived(self):
        """Each file under its final name is whole."""
        paths = [path for path in self.server.root.glob("*/*") if not path.name.startswith(".")]
        pairs = numbers(json.loads(path.read_text()) for path in paths)
        return sorted(pairs, key=lambda pair: pair[1])

    def close(self):
        self.server.kill_all()
