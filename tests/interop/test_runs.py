"""The tests themselves: a slow peer starts once per run, and in CI nobody is skipped."""

import os

import pytest

from tests.peers.slow import groups

from .test_leaves_nothing import session

PEERS = """
import pathlib
import pytest
from tests.peers.slow import slow_peer

def note(name):
    with pathlib.Path("started").open("a") as file:
        file.write(name)

@slow_peer
def database():
    note("d")
    yield

@slow_peer
def browser():
    note("b")
    yield

@pytest.fixture
def page(browser, database): pass

@pytest.mark.parametrize("n", range(8))
def test_with_one(database, n): pass

@pytest.mark.parametrize("n", range(8))
def test_with_both(page, n): pass

@pytest.mark.parametrize("n", range(8))
def test_with_none(n): pass
"""


def test_a_slow_peer_starts_once_however_many_workers_there_are(tmp_path):
    out, status = session(tmp_path, PEERS, "-n", "2", "--dist", "loadgroup", "-m", "interop")
    assert (status, "16 passed" in out) == (0, True), out
    assert sorted((tmp_path / "started").read_text()) == ["b", "d"]


def test_whoever_asks_for_a_slow_peer_is_not_part_of_the_quick_tests(tmp_path):
    out, status = session(tmp_path, PEERS, "-m", "not interop")
    assert (status, "8 passed" in out) == (0, True), out
    assert not (tmp_path / "started").exists()


def test_tests_that_share_a_peer_by_way_of_others_are_of_one_group():
    assert groups([{"a"}, {"b"}, {"a", "c"}, {"c", "d"}, {"e"}]) == ["a+c+d", "b", "a+c+d", "a+c+d", "e"]


SKIPS = {
    "in the test": "import pytest\ndef test_it(): pytest.skip('no such machine')\n",
    "by a mark": "import pytest\n@pytest.mark.skip(reason='no such machine')\ndef test_it(): pass\n",
    "in a fixture": "import pytest\n@pytest.fixture\ndef peer(): pytest.skip('no such machine')\ndef test_it(peer): pass\n",
    "as a whole": "import pytest\npytest.skip('no such machine', allow_module_level=True)\n",
}


@pytest.mark.parametrize("more", [(), ("-n", "1")], ids=["alone", "xdist"])
@pytest.mark.parametrize("text", SKIPS.values(), ids=SKIPS)
def test_in_ci_a_skip_is_a_failure(tmp_path, monkeypatch, text, more):
    monkeypatch.setitem(os.environ, "CI", "true")
    out, status = session(tmp_path, text, *more)
    assert status in (1, 2), out
    assert "no such machine" in out


@pytest.mark.parametrize("text", SKIPS.values(), ids=SKIPS)
def test_elsewhere_a_skip_is_a_skip(tmp_path, monkeypatch, text):
    monkeypatch.delitem(os.environ, "CI", raising=False)
    out, status = session(tmp_path, text)
    assert (status in (0, 5), "1 skipped" in out) == (True, True), out


def test_in_ci_an_expected_failure_stays_one(tmp_path, monkeypatch):
    monkeypatch.setitem(os.environ, "CI", "true")
    out, status = session(tmp_path, "import pytest\n@pytest.mark.xfail\ndef test_it(): assert False\n")
    assert (status, "1 xfailed" in out) == (0, True), out
