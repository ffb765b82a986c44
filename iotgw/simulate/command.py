"""`iotgwctl simulate`: devices for those who have none at hand."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import msgspec

from iotgw.core.errors import IotgwError
from iotgw.core.urls import urls
from iotgw.simulate.coaps import Key
from iotgw.simulate.platform_calls import ANSWERING
from iotgw.simulate.runner import KINDS, Plan, Summary, run

TYPES = {"http": ("http", "http"), "coap": ("coap", "coap"), "coaps": ("coap", "coaps")}
"""Kinds that need a routing key: the datasource's type, and the scheme of its URL."""


def add(commands: Any) -> None:
    """Add the command to `iotgw.ctl.command.Commands`."""
    parser = commands.add("simulate", _simulate, "let simulated devices speak to a gateway")
    kinds = "; ".join(f"{name}: {kind.about}" for name, kind in KINDS.items())
    parser.add_argument("kind", choices=sorted(KINDS), help=kinds)
    parser.add_argument("--host", default="127.0.0.1", help="the gateway's address (127.0.0.1)")
    parser.add_argument("--port", type=int, default=0, help="its port (the protocol's usual one)")
    parser.add_argument("--count", type=int, default=10, help="uplinks in all (10)")
    parser.add_argument(
        "--rate", type=float, default=1.0, help="uplinks per second, 0 for as fast as it goes (1)"
    )
    parser.add_argument("--devices", type=int, default=10, help="devices that take turns (10)")
    parser.add_argument(
        "--patience", type=float, metavar="S", help="seconds to listen for an answer (the device's)"
    )
    parser.add_argument("--path", default="", help="path of uploads (http, coap) or topic (mqtt)")
    parser.add_argument(
        "--psk-identity", default="", metavar="ID", help="coaps: who the devices say they are"
    )
    parser.add_argument("--psk", default="", metavar="SECRET", help="coaps: their key, 0x… for hexadecimal")
    parser.add_argument(
        "--repeat", type=int, default=0, metavar="N",
        help="platforms: every N-th uplink comes twice, as from one that missed the answer",
    )  # fmt: skip
    parser.add_argument(
        "--api-port", type=int, default=0, metavar="PORT",
        help=f"platforms: be their API for downlinks on this port of loopback, too ({', '.join(ANSWERING)}), or "
        "publish the keys of their signatures there (google-pubsub-push)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, help="the same devices and readings again")


def _simulate(context: Any) -> int:
    options = context.options
    try:
        key = _key(options) if KINDS[options.kind].has_key else None
    except ValueError as error:
        context.show({"error": str(error)}, lambda value: value["error"])
        return 1
    path, port = options.path, options.port
    if not path and options.kind in TYPES:
        path, found_port = _find(context)
        port = port or found_port
    plan = Plan(
        options.kind, options.host, port, options.count, options.rate, options.devices,
        options.patience, path, options.seed, key, options.repeat, options.api_port,
    )  # fmt: skip
    result = _play(plan)
    if not isinstance(result, Summary):
        context.show({"error": str(result)}, lambda value: value["error"])
        return 1
    context.show(msgspec.to_builtins(result), lambda _: _text(result, KINDS[plan.kind].is_answered))
    return 1 if result.failed else 0


def _play(plan: Plan) -> Any:
    """Run simulated devices in a reactor of this process; returns a `Summary`, or what went wrong."""
    # importing the reactor installs it, which the other commands can do without
    from twisted.internet import reactor  # noqa: PLC0415

    found: list[Any] = []

    def done(result: Any) -> None:
        found.append(result)
        reactor.stop()

    reactor.callWhenRunning(lambda: run(reactor, plan).addBoth(done))
    reactor.run()
    return found[0] if found else "it was interrupted"


def _find(context: Any) -> tuple[str, int]:
    """Path and port of the gateway's first datasource that takes such devices. Raises IotgwError."""
    kind = context.options.kind
    type_, scheme = TYPES[kind]
    for each in context.client.get("/datasources", limit=1000)["items"]:
        for url in urls(each["status"], context.options.url) if each["type"] == type_ else ():
            parts = urlsplit(url)
            if parts.scheme == scheme and parts.path:
                return parts.path, parts.port or 0
    raise IotgwError(f"{kind}: the gateway has no such datasource that is open; expected --path /i/KEY")


def _key(options: Any) -> Key:
    secret: str = options.psk
    if not options.psk_identity or not secret:
        raise ValueError(f"{options.kind}: expected --psk-identity and --psk")
    try:
        return Key(
            options.psk_identity, bytes.fromhex(secret[2:]) if secret.startswith("0x") else secret.encode()
        )
    except ValueError:
        raise ValueError("--psk: expected hexadecimal digits after 0x") from None


def _text(summary: Summary, is_answered: bool) -> str:
    words = [f"{summary.sent} uplinks in {summary.seconds:.1f} s"]
    if is_answered:
        words.append(f"{summary.answered} answered")
    words.append(f"{summary.downlinks} downlinks")
    if summary.failed:
        words.append(f"{summary.failed} failed ({summary.last_error})")
    return ", ".join(words)
