"""A txThings tree in a running gateway, asked by libcoap's client: what Californium's plugtest checker asks, in short."""

import subprocess

import pytest

from tests.conformance.checker import gateway
from tests.conformance.txthings_site import LONG
from tests.peers.process import find, free_udp_port


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    port = free_udp_port()
    with gateway(tmp_path_factory.mktemp("mounted"), port).start():
        yield port


def ask(port, method, path, *arguments):
    """What libcoap's client prints: a body, or the code of an error."""
    command = [find("coap-client-openssl"), "-v", "0", "-B", "10", "-m", method, *arguments]
    done = subprocess.run(
        [*command, f"coap://127.0.0.1:{port}/{path}"], capture_output=True, text=True, check=False
    )
    return (done.stdout + done.stderr).removesuffix("\n")


def test_a_long_body_comes_in_blocks(port):
    assert ask(port, "get", "large").encode() == LONG


def test_a_body_comes_in_the_format_that_is_asked_for(port):
    assert ask(port, "get", "multi-format", "-A", "41") == "<text/>"
    assert ask(port, "get", "multi-format", "-A", "0") == "text"
    assert "4.06" in ask(port, "get", "multi-format", "-A", "42")


def test_a_resource_is_created_once(port):
    assert "4.12" not in ask(port, "put", "create1", "-e", "one", "-O", "5")
    assert ask(port, "get", "create1") == "one"
    assert "4.12" in ask(port, "put", "create1", "-e", "two", "-O", "5")


def test_a_resource_is_changed_by_who_knows_its_state(port):
    assert "4.12" not in ask(port, "put", "validate", "-e", "known", "-O", "1,0x00000001")
    assert ask(port, "get", "validate") == "known"
    assert "4.12" in ask(port, "put", "validate", "-e", "unknown", "-O", "1,0x00000001")
    assert ask(port, "get", "validate") == "known"
