"""Who takes part: how each is started, where it listens, and what it lacks when it can't."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from harness.gateway import Gateway
from harness.processes import Program, free_port, wait_until
from harness.tools import BIN, Sink

PEERS = Path(__file__).resolve().parents[1] / "peers"
NODE_MODULES = PEERS / "node_modules"


class Started(NamedTuple):
    """A running contestant and where its devices send to."""

    program: Program
    port: int
    path: str
    method: str = "post"


class Contestant(NamedTuple):
    """``start(folder, sink)`` starts it with its files in a fresh folder; ``missing()`` says what it lacks."""

    name: str
    start: Callable[[Path, Sink | None], Started]
    missing: Callable[[], str]
    durable: bool = False


def install_node_peers() -> str:
    """Install the Node.js contestants where git ignores them; returns why not, when it failed."""
    if (NODE_MODULES / "node-red").exists():
        return ""
    if not (npm := shutil.which("npm")):
        return "npm is not installed"
    done = subprocess.run(
        [npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--silent"],
        cwd=PEERS,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    return f"npm install failed: {done.stderr.strip()[-200:]}" if done.returncode else ""


def answers(port: int) -> bool:
    """Whether somebody answers CoAP at a port: any datagram for a GET of nothing in particular."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.settimeout(0.2)
        try:
            probe.connect(("127.0.0.1", port))
            probe.send(b"\x41\x01\x12\x34\x01")  # CON GET, one octet of token
            return bool(probe.recv(2048))
        except OSError:
            return False


# --- what may be missing --------------------------------------------------------------------------


def _nothing() -> str:
    return ""


def _needs_program(name: str) -> Callable[[], str]:
    return lambda: "" if shutil.which(name) else f"{name} is not installed"


def _needs_node(package: str) -> Callable[[], str]:
    def missing() -> str:
        if not shutil.which("node"):
            return "node is not installed"
        return "" if (NODE_MODULES / package).exists() else f"npm package {package} is not installed"

    return missing


def _needs_python(package: str) -> Callable[[], str]:
    def missing() -> str:
        return "" if importlib.util.find_spec(package) else f"Python package {package} is not installed"

    return missing


# --- how they start -------------------------------------------------------------------------------


def _serve(folder: Path, argv: list[str], port: int, path: str = "up", method: str = "post") -> Started:
    """Start a program that listens for CoAP at ``port`` and wait for its first answer."""
    program = Program(argv, folder)
    try:
        wait_until(lambda: answers(port), 120, f"an answer of {argv[0]}", lambda: program.alive)
    except TimeoutError:
        program.kill()
        raise RuntimeError(f"{' '.join(argv)} did not start:\n{program.tail()}") from None
    return Started(program, port, path, method)


def _udp_port() -> int:
    return free_port(socket.SOCK_DGRAM)


def _echo(folder: Path, sink: Sink | None) -> Started:
    port = _udp_port()
    return _serve(folder, [str(BIN / "coapecho"), str(port)], port)


def _libcoap(folder: Path, sink: Sink | None) -> Started:
    port = _udp_port()
    argv = ["coap-server-notls", "-A", "127.0.0.1", "-p", str(port)]
    return _serve(folder, argv, port, "example_data", "put")


def _node_coap(folder: Path, sink: Sink | None) -> Started:
    port = _udp_port()
    return _serve(folder, ["node", str(PEERS / "intake.js"), str(port)], port)


def _python_intake(script: str) -> Callable[[Path, Sink | None], Started]:
    def start(folder: Path, sink: Sink | None) -> Started:
        port = _udp_port()
        return _serve(folder, [sys.executable, str(PEERS / script), str(port)], port)

    return start


def _pipeline(argv: list[str], kind: str) -> Callable[[Path, Sink | None], Started]:
    def start(folder: Path, sink: Sink | None) -> Started:
        assert sink is not None
        port, target = _udp_port(), sink.mqtt if kind == "mqtt" else sink.http
        return _serve(folder, [*argv, str(port), kind, str(target)], port)

    return start


def _node_red(kind: str) -> Callable[[Path, Sink | None], Started]:
    def start(folder: Path, sink: Sink | None) -> Started:
        assert sink is not None
        port, target = _udp_port(), sink.mqtt if kind == "mqtt" else sink.http
        flow = [sys.executable, str(PEERS / "nodered.py"), str(folder), str(port), kind, str(target)]
        subprocess.run(flow, check=True)
        red = str(NODE_MODULES / "node-red" / "red.js")
        argv = ["node", red, "--userDir", str(folder), "--settings", str(folder / "settings.js")]
        return _serve(folder, argv, port)

    return start


def gateway(
    deliver: Callable[[Gateway, Sink], object] | None = None, converter: str = "bench"
) -> Callable[[Path, Sink | None], Started]:
    """The gateway with a CoAP datasource, the common converter (or none) and what ``deliver`` adds."""

    def start(folder: Path, sink: Sink | None) -> Started:
        program, port = Gateway(folder), _udp_port()
        try:
            program.converter()
            program.coap(port, converter=converter)
            if deliver is not None:
                assert sink is not None
                deliver(program, sink)
        except Exception:
            program.kill()
            raise
        return Started(program, port, "i/key")

    return start


MQTT = gateway(lambda program, sink: program.mqtt(sink.mqtt))
HTTP = gateway(lambda program, sink: program.http(sink.http))
HTTP_BATCH = gateway(lambda program, sink: program.http(sink.http, batch=100))

_NAIVE = [sys.executable, str(PEERS / "naive.py")]
_NODE = ["node", str(PEERS / "pipeline.js")]

INTAKE = (
    Contestant("C echo", _echo, _nothing),
    Contestant("libcoap", _libcoap, _needs_program("coap-server-notls")),
    Contestant("iotgw", gateway(converter=""), _nothing, durable=True),
    Contestant("iotgw, converting", gateway(), _nothing, durable=True),
    Contestant("node-coap", _node_coap, _needs_node("coap")),
    Contestant("txThings", _python_intake("intake_txthings.py"), _needs_python("txthings")),
    Contestant("aiocoap", _python_intake("intake_aiocoap.py"), _needs_python("aiocoap")),
)
TO_MQTT = (
    Contestant("iotgw", MQTT, _nothing, durable=True),
    Contestant("node pipeline", _pipeline(_NODE, "mqtt"), _needs_node("mqtt")),
    Contestant("Node-RED", _node_red("mqtt"), _needs_node("node-red-contrib-coap")),
    Contestant("naive Twisted", _pipeline(_NAIVE, "mqtt"), _needs_python("pyduktape2")),
)
TO_HTTP = (
    Contestant("iotgw", HTTP, _nothing, durable=True),
    Contestant("iotgw, batches", HTTP_BATCH, _nothing, durable=True),
    Contestant("node pipeline", _pipeline(_NODE, "http"), _needs_node("coap")),
    Contestant("Node-RED", _node_red("http"), _needs_node("node-red-contrib-coap")),
    Contestant("naive Twisted", _pipeline(_NAIVE, "http"), _needs_python("pyduktape2")),
)
