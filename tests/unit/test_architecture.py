import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TRANSPORTS = ("coap", "http", "socket")


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
