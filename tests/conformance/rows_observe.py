"""Rows of observing (RFC 7641)."""

from __future__ import annotations

from .probe import CON, GET, OBSERVE, RST
from .rows import row

REGISTER, DEREGISTER = (OBSERVE, 0), (OBSERVE, 1)


@row("RFC 7641 §3.1")
def an_observer_gets_notifications_with_its_token(probe):
    device = probe.device()
    first = device.ask(GET, "clock", b"", REGISTER, token=b"o1")
    assert first.code == "2.05" and first.option(OBSERVE) is not None
    notifications, end = [], probe.now() + 3.2
    while probe.now() < end:
        answer = device.receive(1.5)
        if answer is None:
            break
        notifications.append(answer)
        if answer.type == CON:
            device.acknowledge(answer)
    assert len(notifications) >= 2
    assert all(answer.token == b"o1" and answer.option(OBSERVE) is not None for answer in notifications)
    numbers = [answer.uint(OBSERVE) for answer in notifications]
    assert numbers == sorted(set(numbers))
    device.ask(GET, "clock", b"", DEREGISTER, token=b"o1")


@row("RFC 7641 §3.6, §4.2")
def a_reset_ends_an_observation(probe):
    device = probe.device()
    device.ask(GET, "clock", b"", REGISTER, token=b"o2")
    device.reset(device.expect(3))
    device.silence(3.5)


@row("RFC 7641 §3.6")
def observe_1_ends_an_observation(probe):
    device = probe.device()
    device.ask(GET, "clock", b"", REGISTER, token=b"o3")
    device.ask(GET, "clock", b"", DEREGISTER, token=b"o3")
    late = device.receive_all(3.5)
    for answer in late:
        device.reset(answer)
    assert len(late) <= 1


@row("RFC 7641 §4.5")
def an_observer_that_is_silent_has_one_notification_under_way(probe):
    device = probe.device()
    device.ask(GET, "clock", b"", REGISTER, token=b"o4")
    got = device.receive_all(6.0)
    for answer in got:
        device.send(RST, 0, answer.mid)
    assert len({answer.mid for answer in got if answer.type == CON}) <= 2


@row("RFC 7641 §3.1")
def what_cannot_be_observed_is_answered_without_observe(probe):
    answer = probe.get("i", REGISTER)
    assert answer.code == "2.05" and answer.option(OBSERVE) is None
