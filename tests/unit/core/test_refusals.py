"""What is turned away is counted by its reason, and said once for each peer, reason and minute."""

from __future__ import annotations

from iotgw.core.allowance import WINDOW
from iotgw.core.recorder import Recorder
from iotgw.core.refusals import MOST, Doors, wrong_key
from iotgw.testing import MemoryEvents, clock


class Hall:
    def __init__(self) -> None:
        self.clock = clock()
        self.events = MemoryEvents()
        self.doors = Doors(Recorder(self.events, self.clock), self.clock)

    @property
    def said(self) -> list[tuple[str, str]]:
        return [(event.name, event.message) for event in self.events.emitted]


def test_a_peer_is_said_once_a_minute_for_each_reason_and_listener_with_what_was_left_out() -> None:
    hall = Hall()
    for _ in range(3):
        hall.doors.note("api", "token", "192.0.2.7", "a wrong token")
    hall.doors.note("api", "key", "192.0.2.7", "no such key")
    hall.doors.note("coap 0.0.0.0:5683", "key", "192.0.2.7", "no such key")
    hall.doors.note("api", "token", "192.0.2.8", "a wrong token")
    assert hall.said == [
        ("api", "192.0.2.7: a wrong token"),
        ("api", "192.0.2.7: no such key"),
        ("coap 0.0.0.0:5683", "192.0.2.7: no such key"),
        ("api", "192.0.2.8: a wrong token"),
    ]
    hall.clock.advance(WINDOW)
    hall.doors.note("api", "token", "192.0.2.7", "a wrong token")
    assert hall.said[-1] == ("api", "192.0.2.7: a wrong token (2 more before)")
    assert hall.doors.counts() == {"api": {"token": 5, "key": 1}, "coap 0.0.0.0:5683": {"key": 1}}


def test_an_event_has_its_peer_and_reason_as_fields() -> None:
    hall = Hall()
    hall.doors.note("api", "token", "192.0.2.7", "a wrong token")
    (event,) = hall.events.emitted
    assert (event.type, event.source, event.severity, event.tenant) == (
        "refused",
        "gateway",
        "warning",
        "default",
    )
    assert event.detail == {"peer": "192.0.2.7", "reason": "token"}


def test_any_number_of_forged_addresses_makes_so_many_events_a_minute_and_all_are_counted() -> None:
    hall = Hall()
    for number in range(5000):
        hall.doors.note("coap 0.0.0.0:5683", "key", f"10.0.{number // 256}.{number % 256}", "no such key")
    assert len(hall.said) == MOST
    assert hall.doors.counts() == {"coap 0.0.0.0:5683": {"key": 5000}}
    hall.clock.advance(WINDOW)
    hall.doors.note("coap 0.0.0.0:5683", "key", "10.9.9.9", "no such key")
    assert len(hall.said) == MOST + 1


def test_a_wrong_key_is_never_shown_whole() -> None:
    assert wrong_key("short") == "no open datasource has this routing key, of 5 characters"
    assert wrong_key("abcdefghijkl").endswith("of 12 characters that begins with 'abc'")
    assert wrong_key("\x1b[2J" + "x" * 1000).endswith("of 1004 characters that begins with '\\x1b[2'")
