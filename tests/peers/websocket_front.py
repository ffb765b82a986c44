"""MQTT over WebSockets by npm's ``ws``, in front of a broker; it serves one path."""

from .process import HOME, Process, accepts, find, free_port, node_module


class WebSocketFront(Process):
    """``certificate`` and ``key`` are the paths of PEM files, for TLS."""

    def __init__(self, folder, broker_port, certificate="", key="", path="/mqtt"):
        node_module("ws")
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        more = [certificate, key] if certificate else []
        command = [find("node"), HOME / "websocket_front.js", str(self.port), str(broker_port), path, *more]
        super().__init__(command, folder / "websocket.log")

    def ready(self):
        return accepts(self.port)
