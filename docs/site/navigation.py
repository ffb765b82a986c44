"""The pages of the site by who reads them. Each page stands in it once (tests/unit/test_docs.py)."""

from __future__ import annotations

from pathlib import Path

DOCS = Path(__file__).parents[1]


def _pages(folder: str, *first: str) -> list[str]:
    """The pages of a folder, ``first`` and then by name."""
    names = sorted(path.name for path in (DOCS / folder).glob("*.md"))
    found = [*first, *(name for name in names if name not in first)]
    return [f"docs/{folder}/{name}" for name in found]


def _there(*pages: str) -> list[str]:
    """Those of these pages that this version has."""
    return [page for page in pages if (DOCS.parent / page).exists()]


NAVIGATION = {
    "Begin": ["README.md", "docs/tutorial.md", "docs/glossary.md"],
    "Devices in": [
        *_pages("datasources", "index.md", "coap.md", "http.md", "mqtt.md", "tcp.md", "udp.md"),
        "docs/coaps.md",
        "docs/devices.md",
        "docs/downlinks.md",
    ],
    "Platforms": [*_pages("platforms", "index.md"), "docs/presets.md"],
    "Converters": [*_pages("converters", "index.md", "scripts.md"), "docs/replies.md"],
    "Data out": [
        *_pages("integrations", "index.md"),
        "docs/thingsboard-remote.md",
        *_pages("integrations/presets", "index.md"),
    ],
    "Run it": [
        *_there("docs/install.md", "docs/reverse-proxies.md"),
        "docs/operations.md",
        *_there("docs/console.md"),
        "docs/monitoring.md",
        "docs/troubleshooting.md",
        "docs/history.md",
        "docs/configuration.md",
        "docs/limits.md",
        "docs/storage.md",
        "docs/postgresql.md",
        *_there("docs/nodes.md"),
        "docs/faults.md",
        "docs/security.md",
        "SECURITY.md",
        "docs/performance.md",
        "benchmarks/README.md",
        "CHANGELOG.md",
    ],
    "Program it": [
        "docs/api.md",
        "docs/extending.md",
        "docs/testing.md",
        "docs/architecture.md",
        "docs/coap.md",
        "docs/dependencies.md",
    ],
}
"""Captions and pages, in their order."""
