"""The example of docs/coap.md."""

from __future__ import annotations

import re
from pathlib import Path

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.endpoint import Endpoint
from iotgw.wire.coap.message import Message, decode, encode, options, uri_options
from iotgw.wire.coap.site import Resource, Site

PAGE = Path(__file__).parents[4] / "docs" / "coap.md"


def test_the_example_of_the_page_runs():
    (example,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.S | re.M)
    sent, stored = [], []

    def store(payload, done):
        stored.append(payload)
        done()

    names = {
        "n": n, "Endpoint": Endpoint, "Message": Message, "Resource": Resource, "Site": Site,
        "send": lambda data, remote: sent.append(decode(data)), "clock": lambda: 1.0, "now": 1.0, "store": store,
        "data": encode(n.CON, n.POST, 1, b"t", options(*uri_options("readings")), b"21.5"),
        "remote": ("192.0.2.1", 5683), "message": Message(n.GET, b"", options(*uri_options("x"))),
        "done": print, "failed": print, "resource": Resource(),
    }  # fmt: skip
    exec(example, names)
    assert stored == [b"21.5"]
    assert [(message.type, message.code) for message in sent] == [(n.ACK, n.CHANGED), (n.CON, n.GET)]
