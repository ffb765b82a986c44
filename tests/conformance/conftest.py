"""The site of the plugtests, for the tests of all their parts."""

import pytest

from .plugtest import Plugtest


@pytest.fixture
def plug():
    return Plugtest()


@pytest.fixture
def client(plug):
    return plug.device()
