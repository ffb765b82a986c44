import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TRANSPORTS = ("coap", "http", "mqtt", "socket")


def test_the_rooms_import_only_what_they_may():
    linter = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    ran = subprocess.run(
        [linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stdout


def test_only_the_worker_program_imports_the_gpl_engine():
    importers = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "iotgw").rglob("*.py")
        if "import pyduktape2" in path.read_text() or "from pyduktape2" in path.read_text()
    }
    assert importers == {"iotgw/converters/engines/duktape.py"}


def test_the_worker_program_imports_no_twisted():
    code = "import sys, iotgw.converters.worker; print([m for m in sys.modules if m.startswith('twisted')])"
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
    )
    assert ran.stdout.strip() == "[]"


WAYS_OUT = {
    "HostnameEndpoint", "TCP4ClientEndpoint", "TCP6ClientEndpoint", "SSL4ClientEndpoint", "UNIXClientEndpoint",
    "ProcessEndpoint", "StandardIOEndpoint", "clientFromString", "connectProtocol", "wrapClientTLS",
    "ClientCreator", "Agent", "HTTPClient", "getPage", "create_connection", "open_connection", "urlopen",
    "HTTPConnection", "HTTPSConnection", "SMTP", "FTP",
    "connectTCP", "connectSSL", "connectUNIX", "connectWith", "connectUNIXDatagram",
}  # fmt: skip
"""Names that connect to somewhere, imported or called as a method."""
CLIENTS = {"treq", "requests", "httpx", "aiohttp", "urllib.request", "http.client", "smtplib", "ftplib",
           "twisted.web.client", "twisted.conch.endpoints", "twisted.mail.smtp", "twisted.names.client"}  # fmt: skip
"""Modules that connect to somewhere."""


def ways_out(path: Path) -> set[str]:
    """What a file imports or calls that connects to somewhere."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names if name.name in CLIENTS}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module} & CLIENTS
            found |= {name.name for name in node.names} & WAYS_OUT
        elif isinstance(node, ast.Attribute):
            found |= {node.attr} & WAYS_OUT
    return found


def test_only_one_room_opens_connections():
    """So that the operator's ``forbid`` can't be forgotten. Other programs than the gateway are their own masters:
    its command-line client, and simulated devices."""
    found = {}
    for path in (ROOT / "iotgw").rglob("*.py"):
        room = path.relative_to(ROOT / "iotgw").parts[0]
        if room not in ("connect", "ctl", "simulate") and (out := ways_out(path)):
            found[str(path.relative_to(ROOT))] = out
    assert found == {}


def test_the_room_that_opens_connections_makes_endpoints_in_two_files():
    """Where the forbidden networks are kept; its clients are given endpoints."""
    makers = {
        path.name
        for path in (ROOT / "iotgw" / "connect").rglob("*.py")
        if ways_out(path) - {"treq", "twisted.web.client", "HTTPClient", "Agent"}
    }
    assert makers == {"endpoint.py", "forbidden.py"}


def test_no_transport_knows_a_vendor_by_name():
    named = {path.stem for path in (ROOT / "iotgw" / "envelopes").glob("*.py")}
    vendors = re.compile("|".join(named - {"__init__", "envelope", "dialogue", "presets"}), re.IGNORECASE)
    rooms = [ROOT / "iotgw" / "datasources" / name for name in TRANSPORTS] + [ROOT / "iotgw" / "pipeline"]
    knowing = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for room in rooms
        for path in sorted(room.rglob("*.py"))
        for line in path.read_text().splitlines()
        if vendors.search(line)
    ]
    assert vendors.search("Tekelek") and knowing == []
