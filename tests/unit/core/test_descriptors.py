"""The last file descriptors are not for devices."""

import os
import resource

import pytest

from iotgw.core.descriptors import are_few, kept, limit


@pytest.mark.parametrize(("most", "count"), [(1 << 20, 32), (1024, 32), (128, 32), (64, 16), (0, 0)])
def test_so_many_are_kept(most, count):
    assert kept(most) == count


@pytest.fixture
def little():
    """A limit that leaves some forty descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + 40, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_they_are_few_when_nothing_below_those_that_are_kept_is_free(little):
    opened = []
    try:
        while not are_few():
            opened.append(os.dup(0))
        opened.append(os.dup(0))
        assert opened[-2] < limit() - kept(limit()) <= opened[-1]
        while len(opened) < 1000:
            opened.append(os.dup(0))
    except OSError:
        assert are_few()  # not even one is left to look with
    finally:
        for each in opened:
            os.close(each)
    assert len(opened) < 1000
    assert not are_few()
