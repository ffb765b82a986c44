"""The documentation is built as a site without a warning: each page has its place, each link and anchor leads somewhere."""

import subprocess
import sys

import pytest

from tests.peers.gateway import ROOT
from tests.peers.process import missing

pytestmark = pytest.mark.interop


def test_the_site_is_built_and_its_first_page_leads_to_the_index(tmp_path):
    if subprocess.run(
        [sys.executable, "-c", "import sphinx, furo"], check=False, capture_output=True
    ).returncode:
        missing("sphinx is not installed: pip install '.[docs]'")
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "--keep-going", "-c", ROOT / "docs" / "site",
         "-d", tmp_path / "read", ROOT, tmp_path / "site"],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    assert "docs/index.html" in (tmp_path / "site" / "index.html").read_text()
    index = (tmp_path / "site" / "docs" / "index.html").read_text()
    for audience in ("Begin", "Devices in", "Data out", "Run it", "Program it"):
        assert f'<span class="caption-text">{audience}</span>' in index
    assert 'class="mermaid">' in index
