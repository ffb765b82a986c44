"""What the devices know: a file with a line for each message that was sent, and for each that was acknowledged."""

import os
import threading
import time

from msgspec import Struct


class Message(Struct, frozen=True):
    """One message of a device. Its payload, in hexadecimal, is its name: no other message has the same."""

    payload: str
    source: str
    device: str
    number: int
    sent: float
    """When it was sent first; `time.time`."""


class Ledger:
    """Written by those who send; append-only, one write for each line."""

    def __init__(self, path):
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._lock = threading.Lock()

    def sent(self, source, device, number, payload):
        self._write(f"s {source} {device} {number} {payload.hex()} {time.time():.6f}\n")

    def acknowledged(self, payload):
        self._write(f"a {payload.hex()} {time.time():.6f}\n")

    def _write(self, line):
        with self._lock:
            os.write(self._file, line.encode())

    def close(self):
        os.close(self._file)


class Reader:
    """The ledger as those read it who judge; `read` takes in what has come since."""

    def __init__(self, path):
        self._path = path
        self._place = 0
        self.messages = {}
        self.acknowledged = {}
        """Payload → when."""

    def read(self):
        with self._path.open("rb") as file:
            file.seek(self._place)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._place += len(line)
                kind, *words = line.decode().split()
                if kind == "a":
                    self.acknowledged[words[0]] = float(words[1])
                else:
                    source, device, number, payload, at = words
                    self.messages.setdefault(
                        payload, Message(payload, source, device, int(number), float(at))
                    )
        return self

    def of(self, source):
        """The payloads that a datasource has acknowledged."""
        return {payload for payload in self.acknowledged if self.messages[payload].source == source}
