"""txThings as it comes: a resource that answers each POST with an empty 2.04.   python intake_txthings.py PORT"""

import sys
import warnings

warnings.simplefilter("ignore", SyntaxWarning)

from twisted.internet import defer, reactor  # noqa: E402
from txthings import coap, resource  # noqa: E402


class Up(resource.CoAPResource):
    """POST /up."""

    def render_POST(self, request):
        """Say 2.04."""
        return defer.succeed(coap.Message(code=coap.CHANGED, payload=b""))


root = resource.CoAPResource()
root.putChild(b"up", Up())
reactor.listenUDP(
    int(sys.argv[1]), coap.Coap(resource.Endpoint(root)), interface="127.0.0.1", maxPacketSize=8192
)
reactor.run()
