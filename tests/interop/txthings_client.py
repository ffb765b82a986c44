"""A txThings client as a program: ``txthings_client.py METHOD HOST PORT PATH [PAYLOAD-FILE]``; the answer's
payload goes to standard output, ``CODE`` as its number to standard error. ``OBSERVE`` prints three answers."""

import sys
import warnings
from ipaddress import ip_address

warnings.simplefilter("ignore", SyntaxWarning)
from twisted.internet import reactor  # noqa: E402
from txthings import coap, resource  # noqa: E402

method, host, port, path = sys.argv[1:5]
seen = 0


def show(response):
    if response.payload:  # txThings makes an absent payload a str
        sys.stdout.buffer.write(response.payload)
    sys.stdout.flush()
    print(response.code, file=sys.stderr)


def finish(response):
    show(response)
    reactor.stop()


def notified(response):
    global seen
    seen += 1
    show(response)
    if seen == 3:
        reactor.stop()


def failed(failure):
    print(failure.getErrorMessage(), file=sys.stderr)
    reactor.stop()


def ask():
    request = coap.Message(code=coap.GET if method == "OBSERVE" else getattr(coap, method))
    request.opt.uri_path = tuple(part.encode() for part in path.split("/"))
    request.remote = (ip_address(host), int(port))
    if len(sys.argv) > 5:
        with open(sys.argv[5], "rb") as body:
            request.payload = body.read()
    if method == "OBSERVE":
        request.opt.observe = 0
        protocol.request(request, observeCallback=notified).addCallbacks(notified, failed)
    else:
        protocol.request(request).addCallbacks(finish, failed)


protocol = coap.Coap(resource.Endpoint(None))
reactor.listenUDP(0, protocol, interface="127.0.0.1")
reactor.callLater(0, ask)
reactor.callLater(100, reactor.stop)
reactor.run()
