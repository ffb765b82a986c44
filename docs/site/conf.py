"""The documentation as a site: `make docs`. The pages are those that are read in the repository, and are not changed for it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

from navigation import NAVIGATION  # noqa: E402
from sphinx.errors import ConfigError  # noqa: E402

project = "iotgw"
extensions = ["myst_parser", "sphinxcontrib.mermaid"]
source_suffix = {".md": "markdown"}
root_doc = "docs/index"
include_patterns = ["docs/**", "benchmarks/README.md", "README.md", "SECURITY.md", "CHANGELOG.md"]
exclude_patterns = ["docs/site/**"]
html_theme = "furo"
html_title = "iotgw"
html_show_copyright = False
html_copy_source = False

# headings have the anchors that they have where the repository is shown
myst_heading_anchors = 4
myst_fence_as_directive = ["mermaid"]
mermaid_output_format = "raw"

# what draws them is a part of the site: whoever reads it asks no other server
if not (HERE / "_static" / "mermaid").is_dir():
    raise ConfigError("mermaid isn't there: run `python docs/site/fetch_mermaid.py`, as `make docs` does")
html_static_path = ["_static"]
mermaid_use_local = "mermaid/mermaid.esm.min.mjs"

# what isn't there fails the build, which `make docs` runs with -W
nitpicky = True
suppress_warnings = ["misc.highlighting_failure"]


def _with_navigation(app: Any, name: str, source: list[str]) -> None:
    """The pages by audience, which nobody who reads the index in the repository sees."""
    if name != root_doc:
        return
    for title, pages in NAVIGATION.items():
        lines = "\n".join("/" + page.removesuffix(".md") for page in pages)
        source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {title}\n:maxdepth: 1\n\n{lines}\n```\n"


def _first_page(app: Any, error: Exception | None) -> None:
    """The site begins at its root."""
    if error is None and app.builder.format == "html":
        page = '<!doctype html><meta http-equiv="refresh" content="0; url=docs/index.html"><a href="docs/index.html">iotgw</a>\n'
        Path(app.outdir, "index.html").write_text(page)


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _with_navigation)
    app.connect("build-finished", _first_page)
