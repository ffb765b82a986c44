"""What a CoAP request says of itself, however odd its options are."""

from __future__ import annotations

import msgspec
import pytest

from iotgw.datasources.coap.uplink import facts
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import Message, options


def test_options_are_shown_by_their_names_as_what_they_are() -> None:
    request = Message(n.POST, b"", options((n.MAX_AGE, 60), (n.URI_HOST, "here"), (65000, b"\xca\xfe")))
    assert facts(request, ())["options"] == {"Max-Age": 60, "Uri-Host": "here", "65000": "cafe"}


@pytest.mark.parametrize("number", [n.MAX_AGE, n.SIZE2, n.OBSERVE, n.NO_RESPONSE, n.ETAG])
def test_an_option_of_a_wrong_length_is_shown_as_one_that_nobody_knows(number: int) -> None:
    request = Message(n.POST, b"", options((number, b"\xff" * 3000)))
    found = facts(request, ())
    assert found["options"] == {str(number): "ff" * 3000}
    assert len(msgspec.json.encode(found)) < 2 * 3000 + 100


def test_a_content_format_of_a_wrong_length_counts_as_absent() -> None:
    assert "contentFormat" not in facts(Message(n.POST, b"", options((n.CONTENT_FORMAT, b"\xff" * 3000))), ())


def test_secrets_in_the_query_do_not_become_metadata() -> None:
    query = [(n.URI_QUERY, text) for text in (b"access_token=hush", b"id=7", b"apikey=hush")]
    assert facts(Message(n.POST, b"", options(*query)), ())["query"] == {"id": "7"}
