"""Targets of all kinds, in processes that are not killed, with each arrival: who, what, when."""

import ctypes
import json
import os
import select
import struct
import threading
import time
from pathlib import Path

import paho.mqtt.client as paho
from msgspec import Struct

from tests.peers.http_sink import HttpSink
from tests.peers.mosquitto import Mosquitto
from tests.peers.patience import HANGS
from tests.peers.process import wait_until
from tests.peers.sshd import Sshd

PLAIN, BATCH, QUEUE, BOARD, FILES, BATCHES = "http", "http-batch", "mqtt", "thingsboard", "sftp", "sftp-batch"


class Arrival(Struct, frozen=True):
    """``key`` is the delivery's; ThingsBoard is given none."""

    at: float
    payload: str
    key: str | None


def of_document(at, document):
    return Arrival(at, name_of(document["telemetry"][0]["values"]), document["key"])


def of_file(at, content):
    document = json.loads(content)
    return [of_document(at, each) for each in (document if isinstance(document, list) else [document])]


def name_of(values):
    """The payload, without the line end that some devices put after it."""
    return bytes.fromhex(values["p"]).strip().hex()


class Targets:
    """A sink, a broker and a file server; a context manager. The broker is the devices', too."""

    def __init__(self, folder, stack):
        self.sink = stack.enter_context(HttpSink(folder / "sink", persistent=True))
        self.broker = stack.enter_context(
            Mosquitto(folder / "broker", config="max_inflight_messages 0\n", persistent=True)
        )
        self.sshd = stack.enter_context(Sshd(folder / "sshd"))
        self.folder = folder
        self.pids = (self.sink.pid, self.broker.pid, self.sshd.pid)
        self.begin("none")

    def begin(self, chapter):
        """What arrives from now on is of another gateway."""
        self._since = time.time()
        self._root = self.sshd.root / chapter
        self._watched = {kind: self._root / kind for kind in (FILES, BATCHES)}
        for path in self._watched.values():
            path.mkdir(parents=True)

    def _ways(self):
        """How to get to the servers: a URL, and what the configurations for the broker and the files have in common."""
        files = {
            "host": "127.0.0.1", "port": self.sshd.port, "username": "root",
            "privateKey": self.sshd.user_key.read_text(), "hostKeys": [self.sshd.host_public_key],
        }  # fmt: skip
        return f"http://127.0.0.1:{self.sink.port}", {"host": "127.0.0.1", "port": self.broker.port}, files

    def passing(self, type_, name):
        """The configuration of an integration that will be deleted."""
        url, broker, files = self._ways()
        return {
            "http": {"url": f"{url}/{name}"},
            "mqtt": {**broker, "topic": f"passing/{name}/{{{{ deviceName }}}}"},
            "sftp": {**files, "path": f"{self._root}/passing/{name}/{{{{ key }}}}.json"},
        }[type_]

    def settings(self):
        """``(name, type, configuration)`` of the integrations."""
        url, broker, files = self._ways()
        return [
            (PLAIN, "http", {"url": f"{url}/{PLAIN}"}),
            (BATCH, "http", {"url": f"{url}/{BATCH}", "batch": "array"}),
            (QUEUE, "mqtt", {**broker, "topic": "out/{{ deviceName }}"}),
            (BOARD, "thingsboard", broker),
            (FILES, "sftp", {**files, "path": f"{self._watched[FILES]}/{{{{ key }}}}.json"}),
            (
                BATCHES,
                "sftp",
                {**files, "files": "batch", "path": f"{self._watched[BATCHES]}/{{{{ file }}}}.json"},
            ),
        ]

    def watch(self):
        """Somebody who notes what arrives at the broker and the file server of this chapter."""
        return Watch(self)

    def posted(self):
        """What the sink took in this chapter: ``path → arrivals``."""
        found = {}
        path = self.folder / "sink" / "received"
        path.touch()
        with path.open() as file:
            for line in file:
                item = json.loads(line)
                at = item["at"] / 1000
                if at < self._since:
                    continue
                found.setdefault(item["path"].lstrip("/"), []).extend(of_file(at, item["body"]))
        return found


class Watch:
    """Notes arrivals by MQTT and by SFTP until it is closed."""

    def __init__(self, targets):
        self._targets = targets
        self._notes = []
        self._marks = self._seen = 0
        self._files = _Renames(targets._watched)
        subscribed = threading.Event()
        self._client = client = paho.Client(paho.CallbackAPIVersion.VERSION2, reconnect_on_failure=False)
        client.on_message = self._message
        client.on_subscribe = lambda *_: subscribed.set()
        client.connect("127.0.0.1", targets.broker.port)
        client.loop_start()
        client.subscribe([("out/#", 1), ("passing/#", 1), ("v1/gateway/telemetry", 1), ("campaign/mark", 1)])
        wait_until(subscribed.is_set, what="the broker to answer a subscription")

    def _message(self, _client, _data, message):
        if message.topic == "campaign/mark":
            self._seen = int(message.payload)
        else:
            self._notes.append((time.time(), message.topic, message.payload))

    def barrier(self, is_dead=True):
        """Return when all that the gateway has sent is noted."""
        self._marks = number = self._marks + 1
        self._client.publish("campaign/mark", str(number), 1).wait_for_publish(HANGS)
        wait_until(lambda: self._seen == number, what="the broker to hand out all that it has")
        for _ in range(2):  # what was in its sockets before the first is read before the second
            self._targets.sink.ping()
        if is_dead:
            wait_until(lambda: not _sessions(self._targets.sshd.pid), what="the file server to see the end")
        self._files.take_in()

    def arrivals(self):
        """By integration."""
        found = self._targets.posted()
        for at, topic, payload in list(self._notes):
            document = json.loads(payload)
            if topic.startswith("out/"):
                found.setdefault(QUEUE, []).append(of_document(at, document))
            elif topic.startswith("passing/"):
                found.setdefault(topic.split("/")[1], []).append(of_document(at, document))
            else:
                found.setdefault(BOARD, []).extend(
                    Arrival(at, name_of(entry["values"]), None)
                    for entries in document.values()
                    for entry in entries
                )
        for kind, at, content in list(self._files.found):
            found.setdefault(kind, []).extend(of_file(at, content))
        return found

    def on_disk(self):
        """What the files hold now, by integration: a file that comes again replaces itself."""
        passing = {folder.name: folder for folder in self._targets._root.glob("passing/*")}
        return {
            kind: [each for path in folder.glob("*.json") for each in of_file(0.0, path.read_bytes())]
            for kind, folder in {**self._targets._watched, **passing}.items()
        }

    def close(self):
        self._client.disconnect()
        self._client.loop_stop()
        self._files.close()


def _sessions(pid):
    """The file server's open sessions."""
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


class _Renames:
    """Files that get their final name in some folders: inotify(7)."""

    MOVED_TO = 0x80
    OVERFLOW = 0x4000

    def __init__(self, folders):
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.inotify_init1(os.O_NONBLOCK)
        assert self._fd >= 0, os.strerror(ctypes.get_errno())
        self._watched = {}
        for kind, path in folders.items():
            self._watched[libc.inotify_add_watch(self._fd, os.fsencode(path), self.MOVED_TO)] = (kind, path)
        self.found = []
        self._lock = threading.Lock()
        self._over, self._end = os.pipe()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while self._over not in select.select([self._fd, self._over], [], [])[0]:
            self.take_in()

    def take_in(self):
        """Note what is there."""
        with self._lock:
            try:
                data = os.read(self._fd, 1 << 20)
            except BlockingIOError:
                return
            at, place = time.time(), 0
            while place < len(data):
                watch, mask, _, size = struct.unpack_from("iIII", data, place)
                assert not mask & self.OVERFLOW, "more files than inotify keeps"
                name = data[place + 16 : place + 16 + size].rstrip(b"\0")
                kind, folder = self._watched[watch]
                self.found.append((kind, at, (folder / os.fsdecode(name)).read_bytes()))
                place += 16 + size

    def close(self):
        os.write(self._end, b"x")
        self._thread.join()
        for fd in (self._fd, self._over, self._end):
            os.close(fd)
