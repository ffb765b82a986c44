"""Reads an uplink by its preset: whose it is, its key, its metadata, and the device's own bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from iotgw.core.expressions.language import Expression
from iotgw.core.expressions.nodes import is_false
from iotgw.core.expressions.table import ExpressionTable
from iotgw.core.model import Metadata
from iotgw.envelopes.presets import values
from iotgw.envelopes.presets.form import Encoding, Unit
from iotgw.envelopes.presets.gateways import Gateways, best_gateway

LONGEST_KEY = 255
LONGEST_PART = 4096
"""Characters of a part of a key; a message with a longer one has none."""
MAC = 0
"""The port of a frame that has nothing but commands of the network (LoRaWAN 1.0.4 §4.3.2)."""


class UplinkReader:
    """The expressions on an uplink, in one table."""

    def __init__(
        self,
        identity: Expression | None,
        names: Sequence[tuple[str, Expression]],
        metadata: Sequence[tuple[str, Expression]],
        gateways: Sequence[Gateways],
        time: Sequence[tuple[Expression, Unit]],
        key: Sequence[Expression],
        payload: Sequence[tuple[Expression, Encoding]],
        encrypted: Expression | None = None,
    ) -> None:
        all_: list[Expression] = []

        def numbers(expressions: Sequence[Expression]) -> range:
            all_.extend(expressions)
            return range(len(all_) - len(expressions), len(all_))

        def numbered(table: Sequence[tuple[Any, Expression]]) -> list[tuple[Any, int]]:
            return list(zip([what for what, _ in table], numbers([at for _, at in table]), strict=True))

        self._identity = numbers([identity])[0] if identity is not None else None
        self._names = numbered(names)
        self._metadata = numbered(metadata)
        self._gateways = numbered([(each, each.at) for each in gateways])
        self._times = numbered([(unit, at) for at, unit in time])
        self._payloads = numbered([(encoding, at) for at, encoding in payload])
        self._key = list(numbers(key))
        self._encrypted = numbers([encrypted])[0] if encrypted is not None else None
        self.takes_parts = all(each.is_part for each in (*(at for _, at in metadata), *key))
        """Whether its metadata and its key are parts of a message, so that those of a small message are small."""
        self._table = ExpressionTable(all_)

    def said(self, occasion: Any) -> list[Any]:
        """What the expressions give, for the methods below."""
        return self._table.run(occasion)

    def identity(self, said: list[Any]) -> str:
        """The device; empty if there is none."""
        return values.text(said[self._identity]) if self._identity is not None else ""

    def facts(self, said: list[Any]) -> Metadata:
        """The metadata, without the key."""
        facts: Metadata = {}
        for name, number in self._metadata:
            if (value := said[number]) is not None:
                facts[name] = value
        for gateways, number in self._gateways:
            for name, value in best_gateway(gateways, said[number]).items():
                facts.setdefault(name, value)
        for name, number in self._names:
            if text := values.text(said[number]):
                facts[name] = text
        for unit, number in self._times:
            if (date := values.date_ms(said[number], unit)) is not None:
                facts["time"] = date
                break
        if self._is_encrypted(said):
            facts["encrypted"] = True
        return facts

    def key(self, said: list[Any]) -> str:
        """What tells an uplink from all others; empty if a part is missing."""
        parts = []
        for number in self._key:
            value = said[number]
            if type(value) is not str:
                if value is None or value is False or isinstance(value, (list, dict)):
                    return ""
                value = str(value)
            if len(value) > LONGEST_PART:
                return ""
            parts.append(value)
        key = "/".join(parts)
        return key if len(key) <= LONGEST_KEY else hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()

    def frame(self, said: list[Any], facts: Metadata) -> bytes | None:
        """The device's bytes: none for a frame without, for one that has only commands of the network, and for one that the platform
        couldn't decrypt. None for what can't be decoded."""
        if (port := facts.get("fPort")) == MAC and port is not False:
            return b""
        if self._is_encrypted(said):
            return b""
        for encoding, number in self._payloads:
            value = said[number]
            if value is not None and value is not False:
                return values.frame(value, encoding)
        return b""

    def _is_encrypted(self, said: list[Any]) -> bool:
        return self._encrypted is not None and not is_false(said[self._encrypted])
