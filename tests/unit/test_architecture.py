"""Rules of the house that import contracts can't hold: parts by their ports, and files and classes of a size to read."""

import ast
import importlib
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from importlib.util import find_spec
from pathlib import Path

from zope.interface.interface import InterfaceClass

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "iotgw").rglob("*.py"))
ALL_FILES = [
    path
    for room in ("iotgw", "twisted", "tests", "benchmarks")
    for path in sorted((ROOT / room).rglob("*.py"))
    if "venv" not in path.parts  # a peer's own environment
]
TREES = {str(path.relative_to(ROOT / "iotgw")): ast.parse(path.read_text()) for path in FILES}

PARTS = frozenset(
    {
        "journal", "registry", "converters", "versions", "delivery", "devices", "events", "downlinks", "pipeline",
        "intake", "credentials", "gateway", "sources", "trace", "recorder",
    }
)  # fmt: skip
"""Names under which objects hold a part of the gateway."""
TABLES: set[str] = set()
"""Files that may be longer, since they are tables."""
SAME_WORD = {
    "Message": "CoAP's own word (RFC 7252), and ours for an uplink with all that became of it",
    "Options": "CoAP's own word (RFC 7252), and what twistd demands of its plugins",
    "Resource": "CoAP's own word (RFC 7252), and ours for what users save",
    "Unavailable": "an error, and the verdict of the same meaning",
}


def classes():
    for file, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                yield file, node


def is_vague(annotation):
    """Whether an annotation says nothing: none at all, ``Any``, ``object``, or one of these and None."""
    if annotation is None:
        return True
    if isinstance(annotation, ast.BinOp):
        return is_vague(annotation.left) or is_vague(annotation.right)
    return isinstance(annotation, ast.Name) and annotation.id in ("Any", "object")


def annotations(tree):
    """The names of parameters and attributes, each with its annotation."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
                yield argument.arg, argument.annotation
        elif isinstance(node, ast.AnnAssign):
            target = node.target
            yield target.attr if isinstance(target, ast.Attribute) else ast.unparse(target), node.annotation


def test_each_parameter_and_attribute_that_holds_a_part_names_its_port():
    vague = {
        (file, name)
        for file, tree in TREES.items()
        for name, annotation in annotations(tree)
        if name.strip("_") in PARTS and is_vague(annotation)
    }
    assert vague == set()


def test_a_file_is_read_in_one_sitting():
    long = {str(path.relative_to(ROOT)) for path in ALL_FILES if path.read_text().count("\n") > 400}
    assert long <= TABLES


def test_few_files_stand_at_the_top_of_the_package():
    assert len(list((ROOT / "iotgw").glob("*.py"))) <= 6


def test_a_class_with_more_than_20_methods_says_why():
    large = {
        (file, node.name)
        for file, node in classes()
        if sum(isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) for each in node.body) > 20
        and "\n    Many methods: " not in (ast.get_docstring(node, clean=False) or "")
    }
    assert large == set()


def test_no_two_classes_have_one_name():
    places = defaultdict(set)
    for file, node in classes():
        if not node.name.startswith("_"):
            places[node.name].add(file)
    twice = {name for name, files in places.items() if len(files) > 1}
    assert twice == set(SAME_WORD)


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
    vendors = re.compile(
        "|".join(named - {"__init__", "api", "envelope", "dialogue", "presets"}), re.IGNORECASE
    )
    rooms = [ROOT / "iotgw" / "datasources" / name for name in TRANSPORTS] + [ROOT / "iotgw" / "pipeline"]
    knowing = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for room in rooms
        for path in sorted(room.rglob("*.py"))
        for line in path.read_text().splitlines()
        if vendors.search(line)
    ]
    assert vendors.search("Tekelek") and knowing == []


def resolve(name):
    """The object of a dotted name; raises AttributeError or KeyError where there is none."""
    found = importlib.import_module("iotgw")
    place = "iotgw"
    for part in name.split(".")[1:]:
        place = f"{place}.{part}"
        if hasattr(found, "__path__") and find_spec(place) is not None:
            found = importlib.import_module(place)
        elif isinstance(found, InterfaceClass):
            found = found[part]
        elif part in getattr(found, "__annotations__", ()):
            return
        else:
            found = getattr(found, part)


def test_what_docstrings_refer_to_is_there():
    named = {
        (str(path.relative_to(ROOT)), name)
        for path in FILES
        for name in re.findall(r"`(iotgw(?:\.\w+)+)`", path.read_text())
    }
    assert named
    for _, name in sorted(named):
        resolve(name)
