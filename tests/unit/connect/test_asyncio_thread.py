"""Coroutines in a thread of their own: what comes back, what ends, and where they may not connect to."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest
from twisted.internet.defer import CancelledError

from iotgw import testing
from iotgw.connect.asyncio_thread import AsyncioThread, ForbiddenHere
from iotgw.connect.forbidden import effective


@pytest.fixture
def clock():
    return testing.ThreadClock()


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "asyncio"]


async def whose():
    return threading.current_thread().name


def test_a_coroutine_runs_in_the_thread_and_its_result_comes_back(clock):
    thread = AsyncioThread(clock)
    assert clock.wait(thread.run(whose())) == "asyncio"


def test_an_error_comes_back(clock):
    async def fails():
        raise LookupError("not there")

    with pytest.raises(LookupError, match="not there"):
        clock.wait(AsyncioThread(clock).run(fails()))


def test_all_coroutines_share_one_thread_that_ends_with_the_last_and_begins_again(clock):
    thread = AsyncioThread(clock)
    first, second = thread.run(whose()), thread.run(whose())
    live = threads()
    assert len(live) == 1
    clock.wait(first)
    clock.wait(second)
    live[0].join()
    assert clock.wait(thread.run(whose())) == "asyncio"


def test_a_coroutine_is_cancelled_with_its_deferred_and_cleans_up(clock):
    thread, cleaned = AsyncioThread(clock), threading.Event()
    begun: list[str] = []

    async def waits():
        clock.callFromThread(begun.append, "begun")
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.set()

    waiting = thread.run(waits())
    clock.until(lambda: begun)
    (live,) = threads()
    waiting.cancel()
    with pytest.raises(CancelledError):
        clock.wait(waiting)
    assert cleaned.wait(testing.threads.PATIENCE)
    clock.until(lambda: not thread._running)
    live.join()


def test_what_a_library_leaves_behind_ends_with_the_thread(clock):
    thread, cleaned = AsyncioThread(clock), threading.Event()
    kept = []

    async def stays():
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.set()

    async def leaves():
        kept.append(asyncio.get_running_loop().create_task(stays()))
        await asyncio.sleep(0)

    clock.wait(thread.run(leaves()))
    assert cleaned.wait(testing.threads.PATIENCE)


def test_a_call_without_anything_running_is_nothing(clock):
    called = []
    AsyncioThread(clock).call(called.append, 1)
    assert called == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::ffff:127.0.0.1"])
def test_nothing_forbidden_is_connected_to_by_name_or_by_address(clock, host):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        port = server.getsockname()[1]

        async def connects():
            await asyncio.open_connection(host, port)

        with pytest.raises(OSError, match="forbidden here"):
            clock.wait(AsyncioThread(clock, effective(["loopback"])).run(connects()))
        with pytest.raises(BlockingIOError):
            server.accept()


def test_what_is_not_forbidden_is_connected_to(clock):
    with socket.create_server(("127.0.0.1", 0)) as server:

        async def connects():
            _, writer = await asyncio.open_connection("localhost", server.getsockname()[1])
            writer.close()
            return "connected"

        assert clock.wait(AsyncioThread(clock, effective([])).run(connects())) == "connected"


def test_a_socket_of_a_library_s_own_is_guarded_too(clock):
    async def connects():
        with socket.socket() as made:
            made.setblocking(False)
            await asyncio.get_running_loop().sock_connect(made, ("localhost", 9))

    with pytest.raises(ForbiddenHere):
        clock.wait(AsyncioThread(clock, effective(["loopback"])).run(connects()))


def test_there_are_no_datagrams(clock):
    async def sends():
        await asyncio.get_running_loop().create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=("127.0.0.1", 9)
        )

    with pytest.raises(ForbiddenHere):
        clock.wait(AsyncioThread(clock).run(sends()))
