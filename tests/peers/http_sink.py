"""A real HTTP server (Node.js) that keeps what it is sent and can be told to misbehave."""

import json

from .gateway import request
from .process import HOME, Process, accepts, find, free_port


class HttpSink(Process):
    """``received`` are the requests that it took: dicts with at (ms since 1970), method, path, headers, body. They outlive
    the server when it is ``persistent``."""

    def __init__(self, folder, port=None, persistent=False):
        folder.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        keep = [folder / "received"] if persistent else []
        super().__init__([find("node"), HOME / "http_sink.js", self.port, *keep], folder / "http-sink.log")

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def ready(self):
        return accepts(self.port)

    def script(self, *steps):
        """Answer the next requests as told, one step each, then normally; a step is a dict with
        ``status``, ``headers``, ``body``, ``delay`` (ms), ``reset``, ``drop`` (took it, then cut the line)."""
        assert request("PUT", f"{self.url}/_script", list(steps)).status == 204

    def always(self, step):
        """Answer every request so; None for normally."""
        assert request("PUT", f"{self.url}/_always", json.dumps(step).encode()).status == 204

    def refuse(self, text):
        """Answer 400 to every request with this text in its body."""
        assert request("PUT", f"{self.url}/_refuse", text.encode()).status == 204

    def ping(self):
        assert request("GET", f"{self.url}/_ping").status == 204

    @property
    def received(self):
        return request("GET", f"{self.url}/_received").json

    @property
    def documents(self):
        return [json.loads(item["body"]) for item in self.received if item["method"] != "OPTIONS"]
