"""Every row of the table, twice: in our engine's own time, and over a socket.

``COAP_SERVER=host:port make conformance`` asks another server, one that has the resources of `site`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from iotgw.wire.coap.endpoint import Endpoint

from .probe import Sockets, Virtual
from .rows import all_rows
from .site import make_site

ROWS = [pytest.param(row, id=row.name) for row in all_rows()]


@pytest.mark.parametrize("row", ROWS)
def test_row_in_virtual_time(row):
    row.check(Virtual(lambda send, clock: Endpoint(make_site(), send, clock, random=Random(7))))


@pytest.fixture(scope="module")
def server():
    if "COAP_SERVER" in os.environ:
        host, _, port = os.environ["COAP_SERVER"].rpartition(":")
        yield Sockets(host, int(port))
        return
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.conformance.site"], stdout=subprocess.PIPE, cwd=root, text=True
    ) as child:
        try:
            assert child.stdout is not None
            yield Sockets("127.0.0.1", int(child.stdout.readline()))
        finally:
            child.terminate()


@pytest.mark.soak
@pytest.mark.parametrize("row", ROWS)
def test_row_over_a_socket(row, server):
    row.check(server)


def test_there_are_as_many_rows_as_the_audit_had():
    assert len(ROWS) >= 106
