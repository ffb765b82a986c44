"""What a browser loads of the console: little at once, the editor and the curves when they are wanted."""

import json
import re

import pytest

from iotgw.web.assets import STATIC
from tests.peers.process import missing

KILO = 1000
LIMITS = {
    "shell": 40 * KILO,
    "editor": 170 * KILO,
    "chart": 30 * KILO,
    "world": 170 * KILO,
    "settings": 40 * KILO,
}
"""Bytes of gzip: what shows the first page with its styles, and what is loaded later."""


@pytest.fixture(scope="module")
def sizes():
    if not (STATIC / "sizes.json").is_file():
        missing("the console is not built; `make console` builds it")
    return json.loads((STATIC / "sizes.json").read_text())


@pytest.mark.parametrize("part", LIMITS)
def test_a_part_of_the_console_is_small(sizes, part):
    assert 1 * KILO < sizes[part] <= LIMITS[part]


def test_the_page_has_nothing_inline_and_names_no_other_place(sizes):
    page = (STATIC / "index.html").read_text()
    assert "<style" not in page and "style=" not in page and "://" not in page
    assert page.count("<script") == page.count('<script type="module" src="app-') == 1


def test_the_page_names_every_script_that_is_needed_first(sizes):
    page = (STATIC / "index.html").read_text()
    named = set(re.findall(r'(?:href|src)="([\w-]+\.js)"', page))
    assert 2 <= len(named) <= 3  # each is a request, which costs a slow browser more than its bytes
    needed = {
        found
        for name in named
        for found in re.findall(r'(?:from|import)"\./([\w-]+\.js)"', (STATIC / name).read_text())
    }
    assert needed <= named
