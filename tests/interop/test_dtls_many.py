"""5,000 sessions held at once, by clients on ports of their own; the figures of docs/coaps.md, as a bound."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

MEMORY = Path(__file__).parents[2] / "benchmarks" / "dtls" / "memory.py"


@pytest.mark.soak
def test_5_000_idle_sessions_take_at_most_72_kb_each():
    done = subprocess.run(
        [sys.executable, MEMORY, "5000"], capture_output=True, text=True, timeout=800, check=True
    )
    found = re.search(r"iotgw: 5000 idle psk sessions on 5000 ports, all answered: ([\d.]+) kB", done.stdout)
    assert found and float(found[1]) <= 72, done.stdout
