"""A preset's form, compiled: every expression checked once, where it is saved."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from functools import partial
from typing import Any

import msgspec

from iotgw.core.expressions.language import STEPS, Expression, compile_expression
from iotgw.envelopes.presets.calls import PresetApi
from iotgw.envelopes.presets.downlinks import downlink_facts
from iotgw.envelopes.presets.form import Action, Became, Encoding, PresetForm, ReceiptForm, Unit
from iotgw.envelopes.presets.gateways import Gateways
from iotgw.envelopes.presets.hooks import ANSWERS, CODINGS, REPLIES, VERIFIERS
from iotgw.envelopes.presets.uplinks import UplinkReader

OCCASION = frozenset(("body", "whole", "query", "path", "topic", "headers"))
"""What an expression on an uplink may name at its root."""
DOWNLINK = frozenset(
    ("identity", "topic", "id", "uuid", "hex64", "base64", "hex", "text", "json", "fPort", "confirmed", "metadata")
)  # fmt: skip
"""What an expression on a downlink may name at its root."""
SPLITTING = 8 * STEPS
"""List items that splitting a body may look at: ``body[]`` looks at each twice, IoT Creators' six times."""
LONGEST = 16 << 10
"""Characters of a preset's text, or of the same as JSON; the longest that comes with the gateway has a third."""
MOST_DOTS = 128
"""In a line of it: no expression has more, and a key of thousands of parts takes a second."""
MOST_RULES = 64
"""Expressions in one table or list of a preset."""


def parse(text: str) -> PresetForm:
    """A preset of TOML text; raises ValueError in one line."""
    if len(text) > LONGEST:
        raise ValueError(f"expected at most {LONGEST} characters, got {len(text)}")
    for number, line in enumerate(text.split("\n"), 1):
        if (dots := line.count(".")) > MOST_DOTS:
            raise ValueError(f"expected at most {MOST_DOTS} dots in a line, got {dots} in line {number}")
    try:
        return msgspec.convert(tomllib.loads(text), PresetForm)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ValueError(f"expected TOML: {error or 'nested too deeply'}") from error
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error


class ReceiptRule(msgspec.Struct, frozen=True):
    """See `ReceiptForm`."""

    kind: str
    when: Expression | None
    became: Became
    item: Expression | None
    network: Expression | None
    reason: Expression | None


class Publish(msgspec.Struct, frozen=True):
    """See `PublishForm`."""

    topic: Expression
    body: Expression


class Preset:
    """A platform, ready to read its messages. Raises ValueError, with the place, for a form that can't be used."""

    def __init__(self, form: PresetForm) -> None:
        self.form = form
        kind, device, downlink = form.kind, form.device, form.downlink
        self.split = _compiled("split", form.split, steps=SPLITTING) if form.split else None
        self.kind_at = _optional("kind.at", kind.at) if kind else None
        self.is_root = kind is not None and kind.root
        self.words: dict[str, Action] = dict(kind.words) if kind else {}
        self.otherwise: Action = kind.otherwise if kind else "uplink"
        if self.is_root and self.kind_at is not None:
            raise ValueError("kind: expected either `at` or `root`")
        self.identity = _optional("device.identity", device.identity) if device else None
        self.name = _optional("device.name", device.name) if device else None
        self.type = _optional("device.type", device.type) if device else None
        self.payload: list[tuple[Expression, Encoding]] = [
            (_compiled(f"payload[{n}].at", each.at), each.encoding)
            for n, each in _few("payload", form.payload)
        ]
        self.encrypted = _optional("encrypted", form.encrypted)
        self.metadata = _table("metadata", form.metadata)
        self.gateways = [
            Gateways(
                _compiled(f"gateways[{n}].at", each.at),
                [
                    _inner(f"gateways[{n}].{part}", text)
                    for part, text in (("rssi", each.rssi), ("snr", each.snr), ("id", each.id or "`null`"))
                ],
            )
            for n, each in _few("gateways", form.gateways)
        ]
        self.time: list[tuple[Expression, Unit]] = [
            (_compiled(f"time[{n}].at", each.at), each.unit) for n, each in _few("time", form.time)
        ]
        self.key = [_compiled(f"key[{n}]", each) for n, each in _few("key", form.key)]
        names = (("deviceName", self.name), ("deviceType", self.type))
        self.uplink = UplinkReader(
            self.identity,
            [(fact, at) for fact, at in names if at is not None],
            self.metadata,
            self.gateways,
            self.time,
            self.key,
            self.payload,
            self.encrypted,
        )
        self.carries = _optional("answer.carries", form.answer.carries)
        self.receipts = [_rule(n, each, self.words) for n, each in _few("receipts", form.receipts)]
        self.telling = frozenset(rule.kind for rule in self.receipts if self.words[rule.kind] == "uplink")
        """Uplinks that say something of downlinks, too."""
        self.detail = _table("detail", form.detail)
        self.publish: Publish | None = None
        if downlink is not None and downlink.mqtt is not None:
            self.publish = Publish(
                _compiled("downlink.mqtt.topic", downlink.mqtt.topic, DOWNLINK),
                _compiled("downlink.mqtt.body", downlink.mqtt.body, DOWNLINK),
            )
        self.api: PresetApi | None = None
        """How a downlink is sent by the platform's API."""
        if downlink is not None and downlink.http is not None:
            _few("downlink.http.results", downlink.http.results)
            facts = partial(downlink_facts, form.downlink)
            self.api = PresetApi(downlink.http, facts, _compiled, form.title)
        if downlink is not None and downlink.lowest_port > downlink.highest_port:
            raise ValueError("downlink.lowestPort: expected at most highestPort")
        self._check_hooks()
        named = frozenset().union(*(each.names for each in self._on_uplinks()))
        self.reads_headers = "headers" in named
        self.places = [place for place in ("path", "topic") if place in named]
        """Which of them any expression on an uplink reads."""

    def _check_hooks(self) -> None:
        proof, reply = self.form.proof, self.form.answer.reply
        if proof.way == "hook" and proof.hook not in VERIFIERS:
            raise ValueError(f"proof.hook: expected one of {', '.join(VERIFIERS)}, got {proof.hook!r}")
        if reply and reply not in REPLIES:
            raise ValueError(f"answer.reply: expected one of {', '.join(REPLIES)}, got {reply!r}")
        if self.form.coding and self.form.coding not in CODINGS:
            raise ValueError(f"coding: expected one of {', '.join(CODINGS)}, got {self.form.coding!r}")
        ask = self.form.answer.ask
        if ask and ask not in ANSWERS:
            raise ValueError(f"answer.ask: expected one of {', '.join(ANSWERS)}, got {ask!r}")
        if not ask and "ask" in self.words.values():
            raise ValueError("answer.ask: expected the hook that answers a message of the kind `ask`")
        if self.carries is not None and not reply:
            raise ValueError("answer.reply: expected the hook that writes a downlink into the answer")

    def _on_uplinks(self) -> Iterable[Expression]:
        single = (self.split, self.kind_at, self.identity, self.name, self.type, self.encrypted, self.carries)
        yield from (each for each in single if each is not None)
        yield from (at for at, _ in self.payload)
        yield from (each for _, each in self.metadata)
        yield from (each.at for each in self.gateways)
        yield from (at for at, _ in self.time)
        yield from self.key
        yield from (each for _, each in self.detail)
        for rule in self.receipts:
            yield from (
                each for each in (rule.when, rule.item, rule.network, rule.reason) if each is not None
            )


def _few(place: str, forms: list[Any]) -> Iterable[tuple[int, Any]]:
    if len(forms) > MOST_RULES:
        raise ValueError(f"{place}: expected at most {MOST_RULES}, got {len(forms)}")
    return enumerate(forms)


def _table(place: str, table: dict[str, str]) -> list[tuple[str, Expression]]:
    if len(table) > MOST_RULES:
        raise ValueError(f"{place}: expected at most {MOST_RULES}, got {len(table)}")
    return [(name, _compiled(f"{place}.{name}", text)) for name, text in table.items()]


def _compiled(place: str, text: str, known: frozenset[str] = OCCASION, steps: int = STEPS) -> Expression:
    try:
        expression = compile_expression(text, steps)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error
    if strange := sorted(expression.names - known):
        raise ValueError(
            f"{place}: expected one of {', '.join(sorted(known))} at the root, got {strange[0]!r}"
        )
    return expression


def _optional(place: str, text: str) -> Expression | None:
    return _compiled(place, text) if text else None


def _inner(place: str, text: str) -> Expression:
    """An expression on a part: any name may be at its root."""
    try:
        return compile_expression(text)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error


def _rule(number: int, form: ReceiptForm, words: dict[str, Action]) -> ReceiptRule:
    place = f"receipts[{number}]"
    if words.get(form.kind) not in ("receipt", "uplink"):
        raise ValueError(
            f"{place}.kind: expected a word of kind.words that is a receipt or an uplink, got {form.kind!r}"
        )
    return ReceiptRule(
        form.kind,
        _optional(f"{place}.when", form.when),
        form.became,
        _optional(f"{place}.item", form.item),
        _optional(f"{place}.network", form.network),
        _optional(f"{place}.reason", form.reason),
    )
