"""Reads a platform's messages by its preset, and writes its downlinks.

An uplink's payload is the message as the platform sent it, which is what ThingsBoard's converters parse. Its metadata has
what they look for, and ``frame``: the device's own bytes in hexadecimal, which converters of the other dialects get in
place of the message (`iotgw.converters.script`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec

from iotgw.core import plain_json
from iotgw.core.expressions.nodes import Spent
from iotgw.core.identities import told_apart_by
from iotgw.core.model import Downlink, Metadata
from iotgw.envelopes.envelope import (
    PLAIN,
    Asked,
    Command,
    Envelope,
    Event,
    Happened,
    Ignored,
    Load,
    Malformed,
    Proof,
    Reading,
    Receipt,
)
from iotgw.envelopes.presets import ids, values
from iotgw.envelopes.presets.downlinks import downlink_facts
from iotgw.envelopes.presets.hooks import ANSWERS, CODINGS, REPLIES, VERIFIERS
from iotgw.envelopes.presets.preset import Preset

Gets = Literal["auto", "envelope", "payload"]
"""What converters get: ``auto`` leaves it to their dialect, ``envelope`` is the whole message, ``payload`` the device's
bytes."""
Names = Literal["name", "identity"]
"""What devices are called by: ``name`` is their name on the platform, ``identity`` their DevEUI, or what else tells them apart."""
MOST = 10_000
"""Messages in one body."""
LARGEST_DETAIL = 4096
"""Bytes of an event's detail, about."""
LARGEST_FACTS = 64 << 10
"""Bytes of an uplink's metadata, about: the gateway takes no more unless its operator says otherwise."""
SMALL = 8192
"""Bytes of a body whose parts are small."""


class PresetEnvelope(Envelope):
    """A platform's envelope. ``publishes`` says whether downlinks go out over MQTT, so that an uplink's answer can be
    one."""

    def __init__(
        self, preset: Preset, gets: Gets = "auto", publishes: bool = False, names: Names = "name"
    ) -> None:
        self._preset = preset
        self._goes_by_identity = names == "identity"
        form = preset.form
        self._gets = gets
        self._coding = CODINGS.get(preset.form.coding)
        self._is_coded = False
        """Whether the platform's last message was no JSON: it takes downlinks in the same form."""
        self._reply = REPLIES[preset.form.answer.reply]() if preset.form.answer.reply else None
        self.addresses = publishes and preset.publish is not None
        self.offers = bool(preset.receipts)
        self._tells_what_is_sent = any(rule.became == "sent" for rule in preset.receipts)
        """Whether the network says anything of a downlink that the device needn't confirm."""
        self.is_network = True
        self.keys_last = bool(preset.key)
        self.gathers = form.gather if preset.key else 0.0
        self.api = preset.api
        self.secret_headers = tuple(form.secrets.headers)
        self.secret_parameters = tuple(form.secrets.parameters)
        self.status = form.answer.status
        self._verify = VERIFIERS[form.proof.hook] if form.proof.way == "hook" else None
        self.needs_secret = self._verify is not None

    def read(self, data: bytes, facts: Metadata, now_ms: int) -> Iterable[Event]:
        """See `Envelope.read`. Of a body with several messages, each is read when it is asked for."""
        try:
            whole = plain_json.decode(data)
        except plain_json.NotJson as error:
            whole = self._otherwise(data, facts)
            if whole is None:
                return (Malformed(data, f"expected JSON: {error}"),)
            data = msgspec.json.encode(whole)
        else:
            self._is_coded = False
        preset = self._preset
        occasion: dict[str, Any] = {"body": whole, "whole": whole, "query": facts.get("query")}
        for name in preset.places:
            occasion[name] = _parts(facts.get(name))
        if preset.reads_headers:
            occasion["headers"] = {
                name[7:].lower(): value for name, value in facts.items() if name.startswith("Header:")
            }
        try:
            bodies = self._parts_of(occasion)
        except Spent:
            return (Malformed(data, f"expected at most {MOST} messages in one body"),)
        size = len(data)
        if bodies is None:
            return self._events(occasion, data, size)
        if not bodies:
            return (Ignored("ignored"),)
        return (
            event
            for body in bodies
            for event in self._events({**occasion, "body": body}, msgspec.json.encode(body), size)
        )

    def _parts_of(self, occasion: dict[str, Any]) -> list[Any] | None:
        """The messages in one body; None if it is one message. Raises Spent for more than `MOST`.

        A list that is no message of the platform is a list of them, as forwarders gather them.
        """
        preset, bodies = self._preset, None
        if preset.split is not None:
            bodies = preset.split.whole(occasion)
        elif type(occasion["whole"]) is list and preset.words and self._word(occasion) not in preset.words:
            bodies = occasion["whole"]
        if not isinstance(bodies, list):
            return None
        if len(bodies) > MOST:
            raise Spent
        return bodies

    def _otherwise(self, data: bytes, facts: Metadata) -> Any:
        """What a message says that is no JSON; None for what says nothing."""
        preset = self._preset
        if preset.form.batch is not None and (found := values.lines_of(data, preset.form.batch)) is not None:
            return found
        if self._coding is None or preset.kind_at is None:
            return None
        word = preset.kind_at.run({"query": facts.get("query"), "topic": _parts(facts.get("topic"))})
        read = self._coding.read(data, word) if isinstance(word, str) else None
        self._is_coded = self._is_coded or read is not None
        return read

    def object_to(self, proof: Proof, secret: str) -> str:
        """See `Envelope.object_to`: by the preset's hook."""
        return self._verify(proof, secret) if self._verify is not None and secret else ""

    def _events(self, occasion: dict[str, Any], data: bytes, size: int) -> tuple[Event, ...]:
        """What a message says that came in a body of ``size`` bytes."""
        word = self._word(occasion)
        event = self._event(word, occasion, data, size)
        if word in self._preset.telling and isinstance(event, Reading):
            besides = self._receipt(word, event.identity, occasion)
            if isinstance(besides, Receipt):
                return event, besides
        return (event,)

    def _event(self, word: str, occasion: dict[str, Any], data: bytes, size: int) -> Event:
        preset = self._preset
        action = preset.words.get(word, preset.otherwise)
        if action == "uplink":
            return self._reading(occasion, data, size)
        if action == "ignore":
            return Ignored("ignored" if word in preset.words else "unknownKinds")
        device = values.text(preset.identity.run(occasion)) if preset.identity is not None else ""
        if action == "ask":
            return Asked(device, occasion["body"]) if device else Ignored("unanswered")
        if action == "receipt":
            receipt = self._receipt(word, device, occasion)
            if receipt is not None:
                return receipt
        detail = {name: value for name, path in preset.detail if (value := path.run(occasion)) is not None}
        if not values.is_within(detail, LARGEST_DETAIL):
            detail = {}
        return Happened(word if word in preset.words else "other", device, detail)

    def _word(self, occasion: dict[str, Any]) -> str:
        preset, body = self._preset, occasion["body"]
        if preset.is_root:
            return next((word for word in preset.words if isinstance(body, dict) and word in body), "")
        if preset.kind_at is None:
            return ""
        word = preset.kind_at.run(occasion)
        return word if isinstance(word, str) else ""

    def _reading(self, occasion: dict[str, Any], data: bytes, size: int) -> Reading:
        preset = self._preset
        reader = preset.uplink
        said = reader.said(occasion)
        identity, facts, key = reader.identity(said), reader.facts(said), reader.key(said)
        if (size > SMALL or not reader.takes_parts) and not values.is_within(facts, LARGEST_FACTS):
            facts = {"rejected": f"expected at most {LARGEST_FACTS} bytes of metadata"}
            return Reading(data, facts, identity, False, (key,) if key else ())
        if key:
            facts["uplinkKey"] = key
        if self._goes_by_identity and (apart := told_apart_by(identity, facts.get("devEui"))):
            facts["deviceName"] = apart
        listens = self.addresses or (preset.carries is not None and preset.carries.holds(occasion))
        payload: bytes | None = data
        if preset.payload and self._gets != "envelope":
            payload = reader.frame(said, facts)
            if payload is None:
                facts["rejected"] = "expected a payload in the platform's encoding"
                return Reading(data, facts, identity, listens, (key,) if key else ())
            if self._gets == "auto":
                facts["frame"], payload = payload.hex(), data
        assert payload is not None
        return Reading(payload, facts, identity, listens, (key,) if key else ())

    def _receipt(self, word: str, device: str, occasion: dict[str, Any]) -> Receipt | Ignored | None:
        for rule in self._preset.receipts:
            if rule.kind != word or (rule.when is not None and not rule.when.holds(occasion)):
                continue
            item = ids.item_of(rule.item(occasion)) if rule.item is not None else ""
            # a name that the API's answer gave: over MQTT there was none
            by_network = rule.network if not self.addresses else None
            network = values.text(by_network(occasion)) if by_network is not None else ""
            if rule.became == "ignored":
                return Ignored("undecidedReceipts")
            if (rule.item is not None or by_network is not None) and not (item or network):
                return Ignored("foreignReceipts")
            reason = values.text(rule.reason(occasion)) if rule.reason is not None else ""
            title = self._preset.form.title or "the network"
            said = f"{title}: {word}" + (f": {reason}" if reason else "")
            return Receipt(device, rule.became, " ".join(said.split()), item, "" if item else network)
        return None

    # --- downlinks ---

    def publish(self, item: Downlink, identity: str, topic: str) -> Command:
        """See `Envelope.publish`."""
        publish = self._preset.publish
        if publish is None:
            raise ValueError("this platform takes no downlinks over MQTT")
        known = downlink_facts(self._preset.form.downlink, item, identity)
        known["topic"] = topic.split("/")
        target, body = publish.topic(known), publish.body(known)
        if not isinstance(target, str) or body is None:
            raise ValueError("the preset gives no topic or no body for this downlink")
        awaits = self.offers and (item.confirmed or self._tells_what_is_sent)
        if self._is_coded and self._coding is not None and isinstance(body, dict):
            data, kind = self._coding.write(body), "application/octet-stream"
        else:
            data, kind = msgspec.json.encode(body), "application/json"
        return Command(data, kind, target, awaits_receipt=awaits)

    def answer(self, asked: Asked, item: Downlink) -> tuple[Command, str]:
        """See `Envelope.answer`: by the preset's hook."""
        hook = ANSWERS.get(self._preset.form.answer.ask)
        if hook is None:
            return super().answer(asked, item)
        return hook(asked, downlink_facts(self._preset.form.downlink, item, asked.device))

    def load(self, items: Sequence[tuple[str, Downlink]]) -> Load:
        """See `Envelope.load`: by the preset's hook, otherwise the first item's bytes."""
        return (self._reply or PLAIN).load(items)


def _parts(text: Any) -> list[str]:
    return text.split("/") if isinstance(text, str) else []
