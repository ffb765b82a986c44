"""A tree of `txthings.resource.CoAPResource` objects, mounted beside ``/i`` on our endpoint.

txThings supplies only the resources: requests and responses are passed as bytes, and our endpoint handles
duplicates, retransmission, block-wise transfer and observers.
"""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Iterator
from importlib import import_module
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.python.failure import Failure

from iotgw.core.errors import SettingsError
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.exchange import Exchange, Responder
from iotgw.wire.coap.message import Message, decode, encode, error
from iotgw.wire.coap.observe import REGISTER
from iotgw.wire.coap.site import Attributes, Path, Resource
from iotgw.wire.coap.timing import Policy

with warnings.catch_warnings():
    warnings.simplefilter("ignore", SyntaxWarning)  # txThings 0.3 compares literals with `is`
    import txthings.error
    from txthings import coap, resource

_ERRORS = (
    (txthings.error.NoResource, n.NOT_FOUND),
    (txthings.error.UnallowedMethod, n.METHOD_NOT_ALLOWED),
    (txthings.error.UnsupportedMethod, n.METHOD_NOT_ALLOWED),
    (txthings.error.NotImplemented, n.NOT_IMPLEMENTED),
)


def load(name: str) -> Any:
    """The root that ``package.module:name`` names, or that the function of that name makes.

    Raises SettingsError.
    """
    module, _, attribute = name.partition(":")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as problem:
        raise SettingsError("configuration.resources", f"cannot load {name!r}: {problem}") from problem
    root = found if isinstance(found, resource.CoAPResource) else found()
    if not isinstance(root, resource.CoAPResource):
        raise SettingsError(
            "configuration.resources", f"expected a txthings CoAPResource from {name!r}, got {root!r}"
        )
    return root


class TxThingsTree(Resource):
    """Serves a txThings tree at the root of a site, for every path that no other resource has."""

    methods = frozenset(n.METHOD_NAMES)
    takes_rest = True
    is_observable = True

    def __init__(self, root: Any, policy: Policy) -> None:
        self.policy = policy
        self._root = root

    def render(self, request: Message, exchange: Exchange) -> None:
        """Find the txThings resource and render it."""
        maybeDeferred(self._render, request, exchange).addCallbacks(
            lambda response: exchange.reply(_ours(response)), lambda failure: _failed(exchange, failure)
        )

    def takes(self, request: Message) -> bool:
        """Always: a txThings resource judges the conditions of a request itself."""
        return True

    def can_be_observed(self, request: Message) -> bool:
        """Whether the txThings resource of a request is observable."""
        return bool(self._find(_foreign(request, None)).observable)

    def entries(self, path: Path) -> Iterator[tuple[Path, Attributes]]:
        """The visible resources of the tree, for discovery."""
        yield from _visible(self._root, path)

    def _find(self, foreign: Any) -> Any:
        foreign.prepath, foreign.postpath = [], list(foreign.opt.uri_path)
        return resource.getChildForRequest(self._root, foreign)

    def _render(self, request: Message, exchange: Exchange) -> Any:
        foreign = _foreign(request, exchange.remote)
        child = self._find(foreign)
        if child.observable and request.options.get_uint(n.OBSERVE) == REGISTER:
            path = request.options.path
            child.observers[(exchange.endpoint, path)] = _Watch(exchange.endpoint, path)
        return child.render(foreign)


class _Watch:
    """Represents all of our observers of a path among a txThings resource's observers."""

    def __init__(self, endpoint: Responder, path: Path) -> None:
        self._endpoint = endpoint
        self._path = path

    def trigger(self) -> None:
        """The resource has changed (txThings' name for it)."""
        self._endpoint.changed_at(self._path)


def _foreign(request: Message, remote: Hashable) -> Any:
    """Our request as txThings' message; its body is whole, so it has no Block1."""
    opts = request.options.replaced((n.BLOCK1, None), (n.BLOCK2, None))
    data = encode(request.type, request.code, request.mid, request.token, opts, request.payload)
    foreign = coap.Message.decode(data, remote)
    foreign.opt.accept = opts.get_uint(n.ACCEPT)  # txThings 0.3 knows it by the number of an early draft
    return foreign


def _ours(foreign: Any) -> Message:
    """A txThings response as our message."""
    foreign.mtype, foreign.mid, foreign.token = n.ACK, 0, b""
    message = decode(foreign.encode())
    return Message(message.code, message.payload, message.options)


def _failed(exchange: Exchange, failure: Failure) -> None:
    for kind, code in _ERRORS:
        if failure.check(kind):
            exchange.reply(error(code))
            return
    assert failure.value is not None
    exchange.endpoint.fail(exchange, failure.value)


def _visible(node: Any, path: Path) -> Iterator[tuple[Path, Attributes]]:
    if node.visible:
        attributes: dict[str, str | None] = {
            name: " ".join(str(param.value) for param in params) for name, params in node.params.items()
        }
        if node.observable:
            attributes["obs"] = None
        yield path, attributes
    for name, child in node.children.items():
        yield from _visible(child, (*path, name.decode("utf-8", "replace")))
