"""The gateway as its user runs it: ``twistd iotgw`` with default settings, set up over its REST API."""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.processes import Program, free_port, wait_until

ROOT = Path(__file__).resolve().parents[2]
DECODER = ROOT / "benchmarks" / "peers" / "decoder.js"

_installed: list[Path] = []


@contextmanager
def installed_in(python: Path) -> Iterator[None]:
    """Gateways that are started meanwhile are what the virtual environment of this Python has, not this checkout."""
    _installed.append(python)
    try:
        yield
    finally:
        _installed.pop()


_TWISTD = "import sys; from twisted.scripts.twistd import run; sys.argv[0] = 'twistd'; run()"


class Gateway(Program):
    """A gateway whose data lie in ``folder``; it can be started again over the same data.

    ``under`` is the command line of a program that runs it, and may make it a hundred times slower. ``settings`` is TOML beside the
    folder and the port, for a folder that is new.
    """

    def __init__(self, folder: Path, under: Sequence[str] = (), settings: str = "") -> None:
        self._patience = 600.0 if under else 120.0
        config = folder / "iotgw.toml"
        if config.exists():
            self.port = int(config.read_text().partition("tcp:")[2].partition(":")[0])
        else:
            self.port = free_port()
            (folder / "resources.toml").write_text("")
            config.write_text(
                f'data-dir = "{folder / "data"}"\napi = "tcp:{self.port}:interface=127.0.0.1"\n{settings}'
            )
        self.data = folder / "data"
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
        python, env = (
            (str(_installed[-1]), {"PYTHONPATH": ""})
            if _installed
            else (sys.executable, {"PYTHONPATH": path})
        )
        super().__init__(
            [
                *under,
                python,
                "-c",
                _TWISTD,
                "--nodaemon",
                "--pidfile=",
                "iotgw",
                "--config",
                str(config),
            ],
            folder,
            env,
        )
        try:
            wait_until(self._ready, self._patience, "the gateway's /health/ready", lambda: self.alive)
        except TimeoutError:
            self.kill()
            raise RuntimeError(f"the gateway did not start:\n{self.tail()}") from None

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def api(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """A call of the API; raises RuntimeError with the gateway's words when it is refused."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/v1{path}",
            json.dumps(body).encode() if body is not None else None,
            {
                "Authorization": f"Bearer {(self.data / 'admin-token').read_text().strip()}",
                "Content-Type": "application/json",
            },
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=self._patience) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.code} {error.read().decode()}") from None

    def converter(self, name: str = "bench", script: str | None = None) -> None:
        """Save the converter that all contestants run."""
        self.api("POST", "/converters", {"name": name, "script": script or DECODER.read_text()})

    def datasource(self, type_: str, name: str, **body: Any) -> None:
        """Open a datasource, and see that it is open."""
        made = self.api("POST", "/datasources", {"name": name, "type": type_, **body})
        if made.get("status", {}).get("state") == "failed":
            raise RuntimeError(f"datasource {name} is not open: {made['status']}")

    def coap(self, port: int, key: str = "key", converter: str = "bench") -> None:
        """Open a CoAP datasource at ``/i/{key}``."""
        self.datasource(
            "coap",
            f"coap {key}",
            routingKey=key,
            converter=converter,
            configuration={"port": port, "interface": "127.0.0.1"},
        )

    def coaps(self, port: int, secret: str, key: str = "secure", converter: str = "") -> None:
        """Open a datasource over DTLS at ``/i/{key}``; one pre-shared key (in hex) serves all ``dev-*``."""
        secrets = [{"value": secret, "encoding": "hex"}]
        self.api("POST", "/credentials", {"name": "bench", "identity": "dev-*", "secrets": secrets})
        configuration = {"securityMode": "DTLS", "securePort": port, "interface": "127.0.0.1"}
        self.datasource(
            "coap", f"coaps {key}", routingKey=key, converter=converter, configuration=configuration
        )

    def mqtt(self, port: int, name: str = "mqtt") -> str:
        """Deliver to a broker, a PUBLISH with QoS 1 per message; returns the integration's id."""
        configuration = {"host": "127.0.0.1", "port": port, "qos": 1, "topic": "t/{{ deviceName }}"}
        return self._integration("mqtt", name, configuration)

    def http(self, port: int, batch: int = 1, name: str = "http") -> str:
        """Deliver to an HTTP server, ``batch`` messages per POST at most; returns the integration's id."""
        configuration: dict[str, Any] = {"url": f"http://127.0.0.1:{port}/"}
        if batch > 1:
            configuration |= {"batch": "array", "batchSize": batch}
        return self._integration("http", name, configuration)

    def _integration(self, type_: str, name: str, configuration: dict[str, Any]) -> str:
        body = {"name": name, "type": type_, "configuration": configuration}
        return str(self.api("POST", "/integrations", body)["id"])
