"""Real CoAP clients against our endpoint: libcoap, aiocoap, npm's coap-cli, txThings."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.peers.patience import HANGS
from tests.peers.process import find, node_module

ROOT = Path(__file__).parents[2]
BODY_200K = random.Random(1).randbytes(200_000)
TEXT_3K = bytes(random.Random(2).choices(b"abcdefghijklmnopqrstuvwxyz0123456789", k=3000))


@pytest.fixture(scope="module")
def server():
    """A process with the conformance site; its address."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.conformance.site"], stdout=subprocess.PIPE, cwd=ROOT, text=True
    ) as child:
        assert child.stdout is not None
        try:
            yield f"127.0.0.1:{int(child.stdout.readline())}"
        finally:
            child.terminate()


def run(*args, seconds=HANGS, **more):
    done = subprocess.run(
        [str(arg) for arg in args],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=seconds,
        check=False,
        **more,
    )
    assert done.returncode == 0, (args, done.stdout[-500:], done.stderr[-1000:])
    return done


def libcoap(method, url, *args, seconds=HANGS):
    return run(find("coap-client-notls"), "-m", method, *args, url, seconds=seconds)


def libcoap_round_trip(tmp_path, server, body, *args, seconds=HANGS):
    """Body up, and down again."""
    sent, got = tmp_path / "sent", tmp_path / "got"
    sent.write_bytes(body)
    libcoap("put", f"coap://{server}/i", "-f", sent, *args, seconds=seconds)
    libcoap("get", f"coap://{server}/i", "-o", got, *args, seconds=seconds)
    assert got.read_bytes() == body


@pytest.mark.parametrize("type_", [(), ("-N",)], ids=["con", "non"])
def test_libcoap_posts_and_gets(server, type_):
    text = f"hello {len(type_)}"
    libcoap("post", f"coap://{server}/i", "-e", text, "-t", "text/plain", *type_)
    assert text in libcoap("get", f"coap://{server}/i", *type_).stdout.decode()


@pytest.mark.parametrize("size", [16, 32, 64, 128, 256, 512, 1024])
def test_libcoap_sends_and_fetches_blocks_of_every_size(tmp_path, server, size):
    libcoap_round_trip(tmp_path, server, TEXT_3K, "-b", size)


def test_libcoap_sends_and_fetches_200_kilobytes(tmp_path, server):
    libcoap_round_trip(tmp_path, server, BODY_200K, "-b", 1024)


def test_libcoap_gets_through_with_15_percent_loss(tmp_path, server):
    libcoap_round_trip(tmp_path, server, TEXT_3K[:2000], "-b", 512, "-l", "15%", seconds=2 * HANGS)


def test_libcoap_observes(server):
    done = libcoap("get", f"coap://{server}/clock", "-s", 3, "-w")
    assert len(set(re.findall(rb"tick \d+", done.stdout))) >= 3


def test_libcoap_pings_and_is_answered(server):
    done = libcoap("get", f"coap://{server}/slow", "-K", 1, "-v", 7)
    assert b"at last" in done.stdout


def test_libcoap_sees_errors_and_discovery(server):
    assert b"4.04" in libcoap("get", f"coap://{server}/no/such").stderr
    assert b"</large>" in libcoap("get", f"coap://{server}/.well-known/core").stdout


def aiocoap(method, url, *args):
    return run(sys.executable, Path(__file__).parent / "aiocoap_client.py", method, url, *args)


def test_aiocoap_sends_and_fetches_200_kilobytes(tmp_path, server):
    sent = tmp_path / "sent"
    sent.write_bytes(BODY_200K)
    aiocoap("PUT", f"coap://{server}/i", sent)
    assert aiocoap("GET", f"coap://{server}/i").stdout == BODY_200K


@pytest.mark.parametrize("prefix", ["", "NON-"], ids=["con", "non"])
def test_aiocoap_posts_and_gets(tmp_path, server, prefix):
    sent = tmp_path / "sent"
    sent.write_bytes(b"from aiocoap")
    aiocoap(f"{prefix}POST", f"coap://{server}/i", sent)
    assert aiocoap(f"{prefix}GET", f"coap://{server}/i").stdout == b"from aiocoap"


def test_aiocoap_observes(server):
    assert len(set(re.findall(rb"tick \d+", aiocoap("OBSERVE", f"coap://{server}/clock").stdout))) == 3


def coap_cli(*args):
    return run(find("node"), node_module("coap-cli") / "index.js", *args)


def test_coap_cli_posts_and_gets(server):
    coap_cli("post", "-p", "from coap-cli", f"coap://{server}/i")
    assert b"from coap-cli" in coap_cli("get", f"coap://{server}/i").stdout


def test_coap_cli_fetches_blocks(server):
    whole = bytes(32 + i % 90 for i in range(3000))
    assert coap_cli("get", "-q", f"coap://{server}/large").stdout.rstrip(b"\n") == whole
    assert coap_cli("get", "-q", "-b", "2", f"coap://{server}/large").stdout.rstrip(b"\n") == whole


def two_at_a_time(tmp_path, post):
    """Two bodies by ``post(first, second)`` from one socket, to a site of their own; what it has stored."""
    bodies = [random.Random(seed).randbytes(5000) for seed in (1, 2)]
    files = [tmp_path / "first", tmp_path / "second"]
    for file, body in zip(files, bodies, strict=True):
        file.write_bytes(body)
    with subprocess.Popen(
        [sys.executable, "-m", "tests.interop.coap_store"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    ) as child:
        assert child.stdout is not None
        codes = post(int(child.stdout.readline()), *files).stdout.split()
        stored, _ = child.communicate()
    assert codes == [b"2.04", b"2.04"]
    return sorted(bytes.fromhex(line) for line in stored.split()), sorted(bodies)


def test_aiocoap_sends_two_bodies_at_a_time_with_a_token_per_block(tmp_path):
    program = Path(__file__).parent / "aiocoap_parallel.py"
    stored, sent = two_at_a_time(
        tmp_path, lambda port, *files: run(sys.executable, program, f"coap://127.0.0.1:{port}/i", *files)
    )
    assert stored == sent


def test_npms_coap_sends_two_bodies_at_a_time_with_a_token_each(tmp_path):
    program = Path(__file__).parent / "coap_parallel.js"
    module = node_module("coap")
    stored, sent = two_at_a_time(
        tmp_path, lambda port, *files: run(find("node"), program, module, "127.0.0.1", port, "/i", *files)
    )
    assert stored == sent


def txthings(method, server, path, *args):
    host, _, port = server.rpartition(":")
    return run(
        sys.executable,
        "-W",
        "ignore",
        Path(__file__).parent / "txthings_client.py",
        method,
        host,
        port,
        path,
        *args,
    )


def test_txthings_posts_gets_and_sends_blocks(tmp_path, server):
    sent = tmp_path / "sent"
    sent.write_bytes(TEXT_3K)
    assert b"68" in txthings("POST", server, "i", sent).stderr
    assert txthings("GET", server, "i").stdout == TEXT_3K


def test_txthings_waits_for_a_separate_response(server):
    assert txthings("GET", server, "slow").stdout == b"at last"


def test_txthings_observes(server):
    assert len(set(re.findall(rb"tick \d+", txthings("OBSERVE", server, "clock").stdout))) >= 3
