"""Calls of an API that may be away, refuse our token, or never answer; with a clock of the test's own."""

from __future__ import annotations

import pytest
from twisted.internet.testing import StringTransportWithDisconnection

from iotgw.connect.api_caller import MOST, ApiCaller, WaitingCall
from iotgw.connect.api_login import LoginToken
from iotgw.connect.http_auth import Fixed
from iotgw.connect.http_pool import HttpPool, may_have_arrived
from iotgw.core.backoff import Backoff
from iotgw.core.specs import RetrySpec
from iotgw.testing import FakeEndpoint, clock
from iotgw.wire.http1 import Response


class Wire(StringTransportWithDisconnection):
    """A TCP connection without a socket."""

    def setTcpNoDelay(self, is_on):
        pass

    def abortConnection(self):
        self.loseConnection()


class Way(FakeEndpoint):
    """An endpoint whose connections are wires."""

    def accept(self):
        factory, waiting = self.attempts.pop(0)
        protocol = factory.buildProtocol(None)
        wire = Wire()
        wire.protocol = protocol
        protocol.makeConnection(wire)
        waiting.callback(protocol)
        return wire


class Api:
    """An API on a connection without a socket. ``means`` is what the next answers are judged to be."""

    def __init__(self, logs_in=False, size=1):
        self.clock = clock()
        self.way = Way()
        self.login_way = Way()
        self.wakes = 0
        self.means = []
        self.judged = []
        self.dropped = []
        self.unwanted = set()
        pool = HttpPool(self.clock, self.way, size, 10.0)
        authority = Fixed(None)
        if logs_in:
            login = HttpPool(self.clock, self.login_way, 1, 10.0)
            authority = LoginToken(self.clock, login, lambda: b"LOGIN\r\n\r\n", self.read)
        backoff = Backoff(RetrySpec(initial=4.0, multiplier=2.0, cap=60.0), lambda low, high: high)
        self.caller = ApiCaller(self.clock, pool, authority, self.wake, backoff)
        self.transport = None
        self.login_transport = None
        self.token = ("X: 1", 60.0)

    def read(self, response: Response):
        return self.token if isinstance(self.token, str) else (f"{self.token[0]}\r\n".encode(), self.token[1])

    def wake(self):
        self.wakes += 1

    def call(self, name):
        def judge(response, reason):
            self.judged.append((name, response.status if response is not None else reason))
            return self.means.pop(0) if self.means else ("done", None)

        self.caller.call(
            WaitingCall(
                lambda header: b"CALL " + name.encode() + b"\r\n" + header + b"\r\n", judge,
                lambda: name not in self.unwanted, lambda: self.dropped.append(name),
            )
        )  # fmt: skip

    @property
    def sent(self):
        """The calls that came since this was last asked."""
        if self.way.attempts:
            self.transport = self.way.accept()
        data, _ = (self.transport.value().decode(), self.transport.clear()) if self.transport else ("", None)
        return [line.split()[1] for line in data.split("\r\n") if line.startswith("CALL")]

    def answer(self, status=200):
        self.transport.protocol.dataReceived(b"HTTP/1.1 %d x\r\nContent-Length: 0\r\n\r\n" % status)


def test_calls_go_one_after_another_on_one_connection():
    api = Api()
    for name in "ab":
        api.call(name)
    assert api.sent == ["a"] and api.caller.waiting == 2
    api.answer(204)
    assert api.sent == ["b"]
    api.answer(404)
    assert api.judged == [("a", 204), ("b", 404)] and api.caller.waiting == 0


def test_while_it_takes_nothing_calls_wait_and_the_oldest_is_the_probe():
    api = Api()
    api.means = [("later", 7.0), ("later", None)]
    for name in "ab":
        api.call(name)
    assert api.sent == ["a"]
    api.answer(429)
    assert api.caller.state == "open" and api.sent == []
    api.clock.advance(6.9)
    assert api.sent == []
    api.clock.advance(0.2)
    assert api.sent == ["a"] and api.caller.state == "half-open"
    api.answer(503)
    api.clock.advance(8.0)
    assert api.sent == ["a"]
    api.answer()
    assert api.sent == ["b"] and api.caller.state == "closed"


def test_only_one_probe_is_sent():
    api = Api(size=3)
    api.means = [("later", None)]
    api.call("a")
    assert api.sent == ["a"]
    api.answer(503)
    for name in "bcd":
        api.call(name)
    api.clock.advance(4.0)
    assert api.sent == ["a"]


def test_a_server_that_cant_be_reached_is_asked_again():
    api = Api()
    api.means = [("later", None)]
    api.call("a")
    api.way.refuse(ConnectionRefusedError("nobody"))
    assert api.judged == [("a", "nobody")]
    api.clock.advance(4.0)
    assert api.sent == ["a"]


def test_one_that_never_answers_is_unanswered_after_its_time_and_what_failed_is_asked_for_again():
    api = Api()
    api.means = [("failed", None)]
    api.call("a")
    assert api.sent == ["a"]
    api.clock.pump([1.0] * 12)
    assert api.judged == [("a", "no complete response within 10 s")]
    assert may_have_arrived(api.judged[0][1])
    assert api.wakes == 0
    api.clock.pump([1.0] * 5)
    assert api.wakes == 1


def test_after_three_failures_nothing_is_sent_for_a_while():
    api = Api()
    api.means = [("failed", None)] * 3
    for name in "abcd":
        api.call(name)
    for name in "abc":
        assert api.sent == [name]
        api.answer(500)
    assert api.sent == [] and api.caller.state == "open"
    api.clock.advance(4.0)
    assert api.sent == ["d"]
    api.answer()
    api.clock.advance(4.0)
    assert api.wakes == 1


def test_what_is_not_wanted_any_more_is_not_sent():
    api = Api()
    for name in "abc":
        api.call(name)
    api.unwanted.add("b")
    assert api.sent == ["a"]
    api.answer()
    assert api.sent == ["c"]


def test_a_token_is_fetched_before_the_first_call_and_when_its_time_is_over():
    api = Api(logs_in=True)
    api.call("a")
    assert api.way.attempts == []
    login = api.login_way.accept()
    assert login.value() == b"LOGIN\r\n\r\n"
    answer_login(login)
    assert api.sent == ["a"]
    api.answer()
    api.call("b")
    assert api.sent == ["b"]
    api.answer()
    api.clock.pump([1.0] * 61)
    login.clear()
    api.call("c")
    assert api.sent == []
    if api.login_way.attempts:
        login = api.login_way.accept()
    assert login.value() == b"LOGIN\r\n\r\n"


def answer_login(wire):
    wire.protocol.dataReceived(b"HTTP/1.1 200 x\r\nContent-Length: 0\r\n\r\n")


def test_a_token_that_is_refused_is_fetched_anew_once():
    api = Api(logs_in=True)
    api.means = [("denied", None), ("denied", None)]
    api.call("a")
    login = api.login_way.accept()
    answer_login(login)
    assert api.sent == ["a"]
    login.clear()
    api.answer(401)
    assert login.value() == b"LOGIN\r\n\r\n" and api.sent == []
    answer_login(login)
    assert api.sent == ["a"]
    api.answer(401)
    assert api.caller.state == "open" and api.sent == []


def test_a_login_that_fails_is_tried_again_later_and_said():
    api = Api(logs_in=True)
    api.token = "no token: HTTP 401"
    api.call("a")
    login = api.login_way.accept()
    answer_login(login)
    assert api.caller.problem == "no token: HTTP 401" and api.caller.state == "open"
    login.clear()
    api.token = ("X: 1", 60.0)
    api.clock.advance(4.0)
    assert login.value() == b"LOGIN\r\n\r\n"
    answer_login(login)
    assert api.sent == ["a"]
    api.answer()
    assert api.caller.problem == ""


def test_an_end_gives_back_what_waits_and_judges_what_is_under_way():
    api = Api()
    api.means = [("later", None)]
    for name in "abc":
        api.call(name)
    assert api.sent == ["a"]
    api.caller.stop()
    assert api.dropped == ["b", "c", "a"]
    assert not api.caller.has_room and api.judged == [("a", "stopped")]


def test_only_so_many_wait_and_who_was_turned_away_is_asked_for_later():
    api = Api()
    for number in range(MOST + 1):
        api.call(str(number))
    assert not api.caller.has_room
    api.caller.owe()
    api.unwanted = {str(number) for number in range(MOST + 1)}
    assert api.sent == ["0"]
    api.answer()
    api.clock.advance(4.0)
    assert api.wakes == 1


@pytest.mark.parametrize(
    ("reason", "may"),
    [("the connection was lost: x", True), ("no connection within 10 s", False), ("stopped", False)],
)
def test_whether_a_request_may_have_arrived_is_told_by_the_reason(reason, may):
    assert may_have_arrived(reason) is may
