"""The documentation as a whole: each type has its page, each page is found, each link leads somewhere."""

import re
import runpy

import pytest
from twisted.internet.task import Clock

from iotgw.app import parts
from iotgw.connect.endpoint import Connector
from iotgw.core.types import Types
from tests.peers.gateway import ROOT

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("**/*.md"))
PROFILES = {"sigfox", "lobaro-mqtt"}
"""Pages of a setting that makes an own kind of a type."""
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.S | re.M)


def datasources():
    return {type_.name for type_ in Types("none", Clock(), parts.DATASOURCES, Connector(Clock()))}


def integrations():
    return {type_.name for type_ in Types("none", Clock(), parts.INTEGRATIONS, Connector(Clock()))}


def pages_of(folder):
    return {path.stem for path in (DOCS / folder).glob("*.md")} - {"index"}


def anchors(path):
    """The anchors that a page's headings have on GitHub."""
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.S | re.M)
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    plain = (re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading) for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in plain}


def links(path):
    return [link for link in LINK.findall(CODE.sub("", path.read_text())) if "://" not in link]


def test_every_type_of_datasource_has_its_page():
    assert pages_of("datasources") - PROFILES == datasources()


def test_every_type_of_integration_has_its_page():
    assert pages_of("integrations") == integrations()


@pytest.mark.parametrize(
    "path",
    [path for path in PAGES if path.parent.name in ("datasources", "integrations") and path.stem != "index"],
    ids=lambda path: path.stem,
)
def test_the_pages_of_types_are_made_alike(path):
    text = path.read_text()
    headings = re.findall(r"^## (.+)$", text, re.M)
    assert headings[0] == "Example"
    assert re.search(r"^## What .* gets", text, re.M)
    assert re.search(r"^## .*(D|d)ownlinks", text, re.M)
    assert re.search(r"^## .*(S|s)ettings", text, re.M)


@pytest.mark.parametrize(
    "path", [path for path in PAGES if path != DOCS / "index.md"], ids=lambda path: path.stem
)
def test_every_page_is_linked_from_the_index(path):
    assert str(path.relative_to(DOCS)) in links(DOCS / "index.md")


@pytest.mark.parametrize(
    "path", [ROOT / "README.md", ROOT / "SECURITY.md", *PAGES], ids=lambda path: str(path.relative_to(ROOT))
)
def test_every_link_leads_somewhere(path):
    for link in links(path):
        place, _, anchor = link.partition("#")
        target = (path.parent / place).resolve() if place else path
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def test_every_page_has_one_place_in_the_navigation_of_the_site():
    navigation = runpy.run_path(str(DOCS / "site" / "navigation.py"))["NAVIGATION"]
    placed = [page for pages in navigation.values() for page in pages]
    outside = {"README.md", "SECURITY.md", "CHANGELOG.md", "benchmarks/README.md"}
    assert sorted(placed) == sorted(
        {str(path.relative_to(ROOT)) for path in PAGES if path != DOCS / "index.md"} | outside
    )


def test_the_glossary_has_each_word_once_in_alphabetical_order():
    words = re.findall(r"^\| \*\*(.+?)\*\* \|", (DOCS / "glossary.md").read_text(), re.M)
    assert words == sorted(set(words))


def test_the_glossary_has_the_words_that_the_architecture_introduces():
    words = set(re.findall(r"\*\*(.+?)\*\*", (DOCS / "glossary.md").read_text()))
    introduced = re.findall(
        r"(?<!\*)\*{1,2}([a-z]+)\*{1,2}(?!\*)", CODE.sub("", (DOCS / "architecture.md").read_text())
    )
    assert {"cursor", "envelope", "preset"} <= set(introduced) <= words
