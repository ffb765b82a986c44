"""The documentation is built as a site without a warning: each page has its place, each link and anchor leads somewhere."""

import re
import shutil
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
    if not (ROOT / "docs" / "site" / "_static" / "mermaid").is_dir():
        if shutil.which("npm") is None:
            missing("npm, which fetches mermaid")
        subprocess.run([sys.executable, ROOT / "docs" / "site" / "fetch_mermaid.py"], check=True)
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
    drawing = tmp_path / "site" / "_static" / "mermaid"
    assert "../_static/mermaid/mermaid.esm.min.mjs" in index
    parts = re.findall(r"\./(chunks/[\w./-]+\.mjs)", (drawing / "mermaid.esm.min.mjs").read_text())
    assert parts
    assert all((drawing / part).is_file() for part in parts)
    asks = re.compile(
        r'(?:<script[^>]*\ssrc|<link[^>]*rel="stylesheet"[^>]*href|<img[^>]*\ssrc)="https?:|from "https?:'
    )
    pages = [path.read_text() for path in (tmp_path / "site").rglob("*.html")]
    assert [found[0] for page in pages if (found := asks.search(page))] == []
