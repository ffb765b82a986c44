"""Rows of the message layer: types, tokens, duplicates, separate responses, malformed datagrams."""

from __future__ import annotations

from .probe import ACK, CON, EMPTY, GET, NON, POST, RST, URI_PATH, message, uri
from .rows import row


@row("RFC 7252 §5.2.1")
def a_con_get_gets_a_piggybacked_reply(probe):
    answer = probe.device().ask(GET, "i", mid=0x1234, token=b"\xaa\xbb")
    assert (answer.type, answer.mid, answer.token, answer.code) == (ACK, 0x1234, b"\xaa\xbb", "2.05")


@row("RFC 7252 §5.2.3", "SHOULD")
def a_non_get_gets_a_non_reply(probe):
    answer = probe.get("i", type=NON, token=b"\xaa")
    assert (answer.type, answer.token, answer.code) == (NON, b"\xaa", "2.05")


@row("RFC 7252 §5.8.2")
def a_post_changes_or_creates(probe):
    assert probe.device().ask(POST, "i", b"abc").code in ("2.04", "2.01")


@row("RFC 7252 §5.3.1")
def a_token_of_eight_bytes_is_echoed(probe):
    assert probe.get("i", token=b"12345678").token == b"12345678"


@row("RFC 7252 §5.3.1")
def an_empty_token_is_echoed(probe):
    answer = probe.get("i", token=b"")
    assert (answer.token, answer.code) == (b"", "2.05")


@row("RFC 7252 §4.4")
def message_id_zero_is_answered(probe):
    assert probe.get("i", mid=0).mid == 0


def twice(probe, pause):
    device, runs = probe.device(), probe.runs()
    data = message(CON, POST, device.mid(), b"\x01", uri("i"), b"twice")
    device.send_raw(data)
    first = device.expect()
    if pause:
        probe.wait(pause)
    device.send_raw(data)
    assert device.expect().raw == first.raw
    assert probe.runs() == runs + 1


@row("RFC 7252 §4.2")
def a_duplicate_con_gets_the_same_reply_and_runs_once(probe):
    twice(probe, 0)


@row("RFC 7252 §4.2")
def a_duplicate_con_after_three_seconds_as_well(probe):
    twice(probe, 3)


@row("RFC 7252 §4.3")
def a_duplicate_non_runs_once(probe):
    device, runs = probe.device(), probe.runs()
    data = message(NON, POST, device.mid(), b"\x01", uri("i"), b"twice")
    device.send_raw(data)
    device.send_raw(data)
    device.receive_all(0.5)
    assert probe.runs() == runs + 1


@row("RFC 7252 §4.4")
def the_same_message_id_from_another_port_is_another_message(probe):
    runs = probe.runs()
    assert [probe.device().ask(POST, "i", b"x", mid=0x2222).code for _ in range(2)] == ["2.04"] * 2
    assert probe.runs() == runs + 2


@row("RFC 7252 §4.3")
def a_ping_is_reset(probe):
    device = probe.device()
    device.send(CON, EMPTY, 0x3333)
    answer = device.expect()
    assert (answer.type, answer.mid, answer.is_empty) == (RST, 0x3333, True)


@row("RFC 7252 §4.3", "SHOULD")
def an_empty_non_is_ignored(probe):
    device = probe.device()
    device.send(NON, EMPTY, 1)
    answer = device.receive(0.5)
    assert answer is None or answer.type == RST


@row("RFC 7252 §4.2")
def a_stray_empty_ack_or_reset_is_ignored(probe):
    for type_ in (ACK, RST):
        device = probe.device()
        device.send(type_, EMPTY, 1)
        device.silence(0.4)


def ask_slow(probe, token=b"\x77\x78"):
    """A request whose reply takes a second: the device, the empty ACK, the separate response."""
    device = probe.device()
    device.send(CON, GET, device.mid(), token, uri("slow"))
    return device, device.expect(2), device.expect(3)


@row("RFC 7252 §5.2.2, §4.1")
def the_ack_before_a_separate_response_is_empty(probe):
    device, ack, response = ask_slow(probe)
    device.acknowledge(response)
    assert ack.type == ACK and ack.is_empty


@row("RFC 7252 §5.2.2")
def a_separate_response_has_the_token_and_an_ack_stops_it(probe):
    device, ack, response = ask_slow(probe)
    device.acknowledge(response)
    assert (response.token, response.code) == (b"\x77\x78", "2.05")
    assert response.mid != ack.mid
    device.silence(4)


@row("RFC 7252 §4.2")
def a_separate_response_is_retransmitted_as_it_was(probe):
    device, _, response = ask_slow(probe)
    start = probe.now()
    again = device.expect(4)
    device.acknowledge(response)
    assert again.raw == response.raw
    assert 1.9 < probe.now() - start < 3.2


@row("RFC 7252 §4.2")
def a_reset_stops_a_separate_response(probe):
    device, _, response = ask_slow(probe)
    device.reset(response)
    device.silence(4)


@row("RFC 7252 §4.4, §4.2")
def an_ack_from_another_port_does_not_stop_a_separate_response(probe):
    device, _, response = ask_slow(probe)
    probe.device().acknowledge(response)
    assert device.expect(4).raw == response.raw
    device.acknowledge(response)


@row("RFC 7252 §4.2", "SHOULD")
def a_duplicate_is_acknowledged_again_while_the_response_is_made(probe):
    device = probe.device()
    data = message(CON, GET, 0x4444, b"\x7c", uri("slow"))
    device.send_raw(data)
    assert device.expect(0.8).is_empty
    device.send_raw(data)
    answer = device.expect(0.3)
    assert (answer.type, answer.mid) == (ACK, 0x4444)
    for late in device.receive_all(1.5):
        if late.type == CON:
            device.acknowledge(late)


def request_with(type_, mid, tail):
    return message(type_, GET, mid, b"", uri("i")) + tail


MALFORMED = {
    "three bytes": lambda t, m: message(t, GET, m)[:3],
    "no bytes": lambda t, m: b"",
    "version 0": lambda t, m: message(t, GET, m, b"", uri("i"), version=0),
    "version 2": lambda t, m: message(t, GET, m, b"", uri("i"), version=2),
    "a token longer than the message": lambda t, m: message(t, GET, m, b"AB", token_length=8),
    "an empty message with a token": lambda t, m: message(t, EMPTY, m, b"A"),
    "an empty message with a payload": lambda t, m: message(t, EMPTY, m) + b"\xffabc",
    "option delta 15": lambda t, m: request_with(t, m, b"\xf0"),
    "option length 15": lambda t, m: request_with(t, m, b"\x0f" + b"x" * 20),
    "an option beyond the end": lambda t, m: request_with(t, m, b"\x45ab"),
    "an extended delta that is missing": lambda t, m: request_with(t, m, b"\xd0"),
    "an extended length that is missing": lambda t, m: request_with(t, m, b"\x4e\x01"),
    "a payload marker without a payload": lambda t, m: request_with(t, m, b"\xff"),
    "an option number over 65535": lambda t, m: request_with(t, m, b"\xe0\xff\xff\xe0\xff\xff"),
    **{
        f"token length {length}": (
            lambda t, m, length=length: message(t, GET, m, b"A" * length, uri("i"), token_length=length)
        )
        for length in (9, 12, 13, 14, 15)
    },
    **{
        f"the reserved code {code >> 5}.{code & 31:02d}": (
            lambda t, m, code=code: message(t, code, m, b"A", uri("i"))
        )
        for code in (0x20, 0x3F, 0xC0, 0xE1)
    },
}


def malformed(name, make):
    @row("RFC 7252 §3, §4.2, §4.3", name=f"{name} is reset or ignored")
    def check(probe):
        device = probe.device()
        device.send_raw(make(CON, 0x5555))
        answer = device.receive(0.5)
        assert answer is None or (answer.type, answer.mid, answer.is_empty) == (RST, 0x5555, True)
        device = probe.device()
        device.send_raw(make(NON, 0x5556))
        answer = device.receive(0.3)
        assert answer is None or answer.type == RST
        assert probe.is_alive()


for _name, _make in MALFORMED.items():
    malformed(_name, _make)


@row("RFC 7252 §4.2")
def an_ack_with_a_request_code_is_ignored(probe):
    device = probe.device()
    device.send(ACK, GET, 1, b"\x01", uri("i"))
    device.silence()


@row("RFC 7252 §4.2")
def a_reset_with_a_request_code_is_ignored(probe):
    device = probe.device()
    device.send(RST, GET, 1, b"\x01", uri("i"))
    device.silence()


@row("RFC 7252 §4.2", "SHOULD")
def a_stray_con_response_is_reset(probe):
    device = probe.device()
    device.send(CON, 69, 0x6666, b"zz")
    answer = device.expect(0.6)
    assert (answer.type, answer.mid, answer.is_empty) == (RST, 0x6666, True)


@row("RFC 7252 §4.3")
def a_stray_non_response_is_ignored_or_reset(probe):
    device = probe.device()
    device.send(NON, 69, 1, b"zz")
    answer = device.receive(0.4)
    assert answer is None or answer.type == RST


@row("RFC 7252 §4.6")
def a_datagram_of_1400_bytes_is_taken(probe):
    assert probe.device().ask(POST, "i", b"p" * 1400).code in ("2.04", "4.13")


@row("robustness")
def a_datagram_of_60000_bytes_does_no_harm(probe):
    device = probe.device()
    device.send(CON, POST, 1, b"", uri("i"), b"p" * 60000)
    device.receive(0.5)
    assert probe.is_alive()


@row("robustness")
def a_thousand_options_do_no_harm(probe):
    device = probe.device()
    device.send(CON, GET, 1, b"", [(URI_PATH, b"a")] * 1000)
    assert device.expect().code[0] == "4"
    assert probe.is_alive()
