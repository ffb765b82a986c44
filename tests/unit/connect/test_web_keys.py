"""Published keys: when they are fetched, and when not."""

from __future__ import annotations

import pytest
from twisted.internet.error import ConnectionRefusedError

from iotgw import testing
from iotgw.connect import web_keys
from iotgw.connect.web_keys import KeyPlace, WebKeys
from iotgw.core.errors import SettingsError
from iotgw.core.validate import convert
from tests.token_issuer import TokenIssuer
from tests.unit.json_server import JsonServer

ONE, TWO = TokenIssuer("one"), TokenIssuer("two")


class Place:
    def __init__(self):
        self.clock = testing.MemoryReactor()
        self.clock.advance(1000)
        connector = testing.FakeConnector()
        self.keys = WebKeys(self.clock, connector, KeyPlace(url="https://keys.example/certs"))
        self.server = JsonServer(connector, "keys.example")
        self.endpoint = connector.endpoint("keys.example", 443, 1.0)
        self.keys.fetch()

    def publish(self, *issuers, **more):
        self.server.answer({"keys": [each.published for each in issuers]}, **more)

    @property
    def asked(self):
        return [path for path, _ in self.server.actions()]


@pytest.fixture
def place():
    return Place()


def test_a_set_is_kept_as_long_as_its_answer_says(place):
    assert not place.keys.are_known
    assert place.asked == ["/certs"]
    place.publish(ONE, headers="Cache-Control: public, max-age=20000, must-revalidate\r\n")
    assert place.keys.are_known and place.keys.find("one") is not None
    place.clock.advance(19_999)
    place.keys.look()
    assert place.asked == []
    place.clock.advance(1)
    place.keys.look()
    assert place.asked == ["/certs"]
    assert place.keys.find("one") is not None  # the old one counts meanwhile
    place.publish(TWO)
    assert place.keys.find("one") is None
    assert place.keys.find("two") is not None


def test_names_that_nobody_has_cause_one_fetch_in_a_minute(place):
    place.publish(ONE)
    place.clock.advance(web_keys.NEW_KEYS)
    for number in range(1000):
        assert place.keys.find(f"unknown {number}") is None
    assert place.asked == ["/certs"]
    place.publish(ONE, TWO)
    assert place.keys.find("two") is not None  # a new key is there at the next try
    for number in range(1000):
        place.keys.find(f"unknown {number}")
    assert place.asked == []


def test_a_service_that_does_not_answer_is_asked_again_and_the_old_keys_count_for_a_day(place):
    place.publish(ONE)
    place.clock.advance(web_keys.USUAL)
    place.keys.look()
    place.server.answer(b"", status=500)
    assert place.keys.error == "the keys can't be fetched: HTTP 500"
    for _ in range(1000):
        place.keys.look()
    assert place.asked == []
    assert place.keys.are_known
    place.clock.advance(web_keys.AGAIN)
    place.keys.look()
    place.server.answer(b"rubbish")
    assert place.keys.find("one") is not None
    place.clock.advance(web_keys.LAST_DAY)
    assert not place.keys.are_known


def test_a_redirect_leads_nowhere(place):
    place.server.answer(b"", status=302, headers="Location: https://elsewhere.example/\r\n")
    assert place.keys.error == "the keys can't be fetched: HTTP 302"


def test_why_there_is_no_connection_is_said(place):
    place.endpoint.refuse(ConnectionRefusedError())
    assert "refused" in place.keys.error
    place.clock.advance(web_keys.AGAIN)
    place.keys.look()
    place.publish(ONE)
    assert (place.keys.error, place.keys.are_known) == ("", True)


def test_a_closed_one_asks_for_nothing_more(place):
    place.keys.close()
    place.clock.advance(web_keys.AGAIN)
    place.keys.look()
    assert place.asked == []


@pytest.mark.parametrize("url", ["", "ftp://x", "https://user@x/", "https://x/a b", "https://"])
def test_what_is_no_place_is_refused(url):
    with pytest.raises(SettingsError, match="url"):
        convert({"url": url}, KeyPlace)
