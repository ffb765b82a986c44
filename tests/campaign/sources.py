"""The datasources of a campaign, and what becomes of a message on each."""

from msgspec import Struct

SHARED_COAP = "coap"
"""The port that the CoAP datasources without DTLS share."""


class Source(Struct, frozen=True):
    """A datasource named as the kind of simulated device that speaks to it."""

    name: str
    type: str
    port: str
    """Whose port: one of its own (its name), `SHARED_COAP`, ``api`` or ``broker``."""
    path: str = ""
    key: str = ""
    is_acknowledged: bool = True
    """Whether the device learns that its message is stored."""
    is_judged: bool = False
    """Whether the converter fails some of its messages, and filters some."""
    is_serial: bool = True
    """Whether messages reach the gateway in the order in which a device sends them. Connections that are opened one after
    the other without waiting for an answer may be read in any order."""
    is_hexadecimal: bool = False
    """Whether the device sends its bytes as text, which the journal has as bytes."""


SOURCES = {
    source.name: source
    for source in (
        Source("coap", "coap", SHARED_COAP, "/i/k-coap", "k-coap", is_judged=True),
        Source("coaps", "coap", "coaps", "/i/k-coaps", "k-coaps"),
        Source("http", "http", "api", "/i/k-http", "k-http", is_judged=True),
        Source("mqtt", "mqtt", "broker", "devices/{id}/up", is_judged=True),
        Source("tcp", "tcp", "tcp", is_acknowledged=False, is_judged=True, is_serial=False),
        Source("udp", "udp", "udp", is_acknowledged=False, is_judged=True),
        Source("tekelek", "tekelek", "tekelek"),
        Source("dragino", "dragino", "dragino", is_acknowledged=False, is_serial=False),
        Source("dragino-udp", "dragino-udp", "dragino-udp", is_acknowledged=False),
        Source("dragino-coap", "dragino-coap", SHARED_COAP, "/dragino/up", is_hexadecimal=True),
        Source("lobaro-coap", "lobaro-coap", SHARED_COAP, "/lobaro/up"),
        Source("lobaro-udp", "lobaro-udp", "lobaro-udp", is_acknowledged=False),
    )
}

BURST = Source("burst", "coap", SHARED_COAP, "/i/k-burst", "k-burst", is_serial=False)
"""Many CoAP requests in flight at once, so that the gateway is killed amid large groups."""
PASSING = Source("passing", "http", "api", is_judged=False)
"""A datasource that is deleted while it has a backlog."""

STEP = 1000
"""Milliseconds between two messages' own times, by which each message differs from all others."""
FAILED, FILTERED = 3, 7
"""The last digit of the numbers that the converter fails or filters."""

SCRIPT = f"""
var hex = '', i, document, digit;
for (i = 0; i < payload.length; i++) hex += ('0' + payload[i].toString(16)).slice(-2);
var name = metadata.identity || metadata.device;
if (!name) {{
  document = decodeToJson(payload);
  name = document.deviceName;
  digit = document.ts / {STEP} % 10;
  if (digit === {FAILED}) throw new Error('a reading that nobody understands');
  if (digit === {FILTERED}) return null;
}}
return {{deviceName: name, deviceType: 'campaign', telemetry: {{p: hex}}}};
"""


def fate(source, number):
    """The state in which the message with this number ends."""
    if source.is_judged:
        return {FAILED: "failed", FILTERED: "filtered"}.get(number % 10, "converted")
    return "converted"


def stored(source, payload):
    """What the journal has of the bytes that a device sent."""
    return (bytes.fromhex(payload.decode()) if source.is_hexadecimal else payload).strip()
