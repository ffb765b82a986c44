"""Peers that take long to start, or are heavy: a JVM, a database, a browser. They start once per run; a pytest plugin.

A peer is a generator function with `slow_peer` in `tests/interop/conftest.py`. It becomes a fixture of the whole session. A
test that asks for it, directly or by way of another fixture, belongs to ``make interop``; all tests of one peer run in one
worker, so that there is one of it however many workers there are. A test that takes long for another reason belongs
there by ``@pytest.mark.interop``.
"""

import pytest

_NAMES = set()


def slow_peer(start):
    """Decorates a generator function that starts a peer, yields it, and ends it after the last test."""
    _NAMES.add(start.__name__)
    return pytest.fixture(scope="session")(start)


def groups(wanted):
    """Of sets of peers, the group of each: sets that share a peer, whatever the way, are of one group."""
    merged = []
    for peers in wanted:
        near = [each for each in merged if each & peers]
        merged = [each for each in merged if not each & peers] + [set(peers).union(*near)]
    return [next("+".join(sorted(each)) for each in merged if each & peers) for peers in wanted]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    found = [(item, _NAMES.intersection(getattr(item, "fixturenames", ()))) for item in items]
    found = [(item, peers) for item, peers in found if peers]
    for (item, _), group in zip(found, groups([peers for _, peers in found]), strict=True):
        item.add_marker(pytest.mark.interop)
        item.add_marker(pytest.mark.xdist_group(group))
