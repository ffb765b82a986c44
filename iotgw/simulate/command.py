"""`iotgwctl simulate`: devices for those who have none at hand."""

from __future__ import annotations

from typing import Any

import msgspec

from iotgw.simulate.coaps import Key
from iotgw.simulate.runner import KINDS, Plan, Summary, run


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
    parser.add_argument("--seed", type=int, help="the same devices and readings again")


def _simulate(context: Any) -> int:
    # importing the reactor installs it, which the other commands can do without
    from twisted.internet import reactor  # noqa: PLC0415

    options = context.options
    try:
        key = _key(options) if KINDS[options.kind].has_key else None
    except ValueError as error:
        context.show({"error": str(error)}, lambda value: value["error"])
        return 1
    plan = Plan(
        options.kind, options.host, options.port, options.count, options.rate, options.devices,
        options.patience, options.path, options.seed, key,
    )  # fmt: skip
    found: list[Any] = []

    def done(result: Any) -> None:
        found.append(result)
        reactor.stop()

    reactor.callWhenRunning(lambda: run(reactor, plan).addBoth(done))
    reactor.run()
    if not found or not isinstance(found[0], Summary):
        context.show({"error": str(found)}, lambda value: value["error"])
        return 1
    context.show(msgspec.to_builtins(found[0]), lambda _: _text(found[0], KINDS[plan.kind].is_answered))
    return 1 if found[0].failed else 0


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
