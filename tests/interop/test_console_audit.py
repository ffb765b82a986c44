"""What Lighthouse says of the web console's pages."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.peers.process import find, missing

pytestmark = pytest.mark.soak
AUDIT = Path(__file__).parents[1] / "peers" / "lighthouse"
CATEGORIES = ("accessibility", "best-practices")
PAGES = (
    "overview", "messages", "failures", "devices", "devices/kitchen", "datasources/thermo?tab=listen", "converters/thermometer",
    "devices?view=map", "integrations/billing?tab=dead", "connect", "connect/datasource?type=tcp", "settings",
)  # fmt: skip


def test_lighthouse_finds_nothing(furnished):
    if not (AUDIT / "node_modules" / "lighthouse").is_dir():
        missing("Lighthouse is not installed; tests/install-peers soak does that")
    done = subprocess.run(
        [find("node"), "audit.mjs", furnished.gateway.url, furnished.gateway.token, ",".join(CATEGORIES), *PAGES],
        cwd=AUDIT, env={**os.environ, "CHROMIUM": find("chromium")}, capture_output=True, text=True, timeout=1300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert [page for page, found in said.items() if not found["shown"].endswith(f"#/{page}")] == []
    scores = {page: [found[category] for category in CATEGORIES] for page, found in said.items()}
    assert scores == {page: [100, 100] for page in PAGES}, [found["failed"] for found in said.values()]
