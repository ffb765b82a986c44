"""The naive Twisted stack: txThings, pyduktape2 per message in the reactor, and a paho thread or treq per message.

python naive.py PORT mqtt|http TARGET_PORT

Over HTTP it answers the device after the delivery, or the connections would be as many as the messages;
over MQTT after the conversion. What it holds is gone when it dies.
"""

import json
import sys
import warnings
from pathlib import Path

warnings.simplefilter("ignore", SyntaxWarning)

import paho.mqtt.client as mqtt  # noqa: E402
import pyduktape2  # noqa: E402
import treq  # noqa: E402
from twisted.internet import defer, reactor, task  # noqa: E402
from twisted.web.client import HTTPConnectionPool  # noqa: E402
from txthings import coap, resource  # noqa: E402

SCRIPT = Path(__file__).with_name("decoder.js").read_text()
WRAPPER = "function convert(hex) { var p = []; for (var i = 0; i < hex.length; i += 2) p.push(parseInt(hex.substr(i, 2), 16)); return JSON.stringify(Decoder(p, {})); }"


def over_mqtt(port):
    """Deliver by paho's own thread."""
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="naive")
    client.max_inflight_messages_set(1000)
    client.connect("127.0.0.1", port)
    client.loop_start()

    def deliver(device, body):
        client.publish(f"t/{device}", body, qos=1)
        return defer.succeed(None)

    return deliver


def over_http(port):
    """Deliver by a treq request per message, over a pool."""
    pool = HTTPConnectionPool(reactor)
    pool.maxPersistentPerHost = 64
    headers = {"Content-Type": "application/json"}

    def deliver(device, body):
        request = treq.post(f"http://127.0.0.1:{port}/", body.encode(), headers=headers, pool=pool)
        request.addCallback(treq.content)
        request.addErrback(lambda failure: task.deferLater(reactor, 1, deliver, device, body))
        return request

    return deliver


class Up(resource.CoAPResource):
    """POST /up."""

    def __init__(self, deliver):
        super().__init__()
        self.deliver = deliver
        self.context = pyduktape2.DuktapeContext()
        self.context.eval_js(SCRIPT + WRAPPER)
        self.convert = self.context.get_global("convert")

    def render_POST(self, request):
        """Convert, deliver, say 2.04."""
        if len(request.payload) < 24:
            return defer.succeed(coap.Message(code=coap.BAD_REQUEST, payload=b""))
        body = self.convert(request.payload.hex())
        delivered = self.deliver(json.loads(body)["deviceName"], body)
        return delivered.addCallback(lambda _: coap.Message(code=coap.CHANGED, payload=b""))


port, kind, target = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
root = resource.CoAPResource()
root.putChild(b"up", Up((over_mqtt if kind == "mqtt" else over_http)(target)))
reactor.listenUDP(port, coap.Coap(resource.Endpoint(root)), interface="127.0.0.1", maxPacketSize=8192)
reactor.run()
