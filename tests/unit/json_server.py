"""The other side of `iotgw.connect.json_api` in memory: requests that were made, and the answers that a test gives."""

from __future__ import annotations

import json

from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure


class JsonServer:
    """Each connection of one place of a `FakeConnector`. ``asked`` are the requests that wait for an answer, oldest first."""

    def __init__(self, connector, host, port=443):
        self._endpoint = connector.endpoint(host, port, 1.0)
        self._open = []
        self._seen = {}

    def look(self):
        """The bodies of the requests that wait, with their heads: ``[(head, body, transport)]``."""
        while self._endpoint.attempts:
            self._open.append(self._endpoint.accept())
        found = []
        for transport in self._open:
            sent = transport.value()[self._seen.get(transport, 0) :]
            if sent:
                head, _, body = sent.partition(b"\r\n\r\n")
                found.append((head.decode(), json.loads(body) if body else None, transport))
        return found

    def actions(self):
        """Of each request its ``X-Amz-Target`` or else its path, and its body."""
        return [(_action(head), body) for head, body, _ in self.look()]

    def answer(self, document, action="", status=200, headers=""):
        """Answer the oldest request, or the oldest of an action; returns its body."""
        for head, body, transport in self.look():
            if not action or _action(head) == action:
                self._seen[transport] = len(transport.value())
                data = document if isinstance(document, bytes) else json.dumps(document).encode()
                lines = f"HTTP/1.1 {status} X\r\n{headers}Content-Length: {len(data)}\r\n\r\n"
                transport.protocol.dataReceived(lines.encode() + data)
                return body
        raise AssertionError(f"nobody asks for {action}: {self.actions()}")

    def lose(self, action=""):
        """The connection of a request breaks."""
        for head, _, transport in self.look():
            if not action or _action(head) == action:
                self._open.remove(transport)
                transport.protocol.connectionLost(Failure(ConnectionLost()))
                return
        raise AssertionError(f"nobody asks for {action}")


def _action(head):
    for line in head.split("\r\n"):
        name, _, value = line.partition(": ")
        if name == "X-Amz-Target":
            return value.rpartition(".")[2]
    return head.split(" ")[1]
