"""A stand-in for ThingsBoard: its MQTT gateway API, its HTTP device API and provisioning, without I/O.

It checks what it gets as ThingsBoard's own code does (``AbstractGatewaySessionHandler``, ``JsonConverter``, ``DeviceApiController``,
``DeviceProvisionServiceImpl`` of github.com/thingsboard/thingsboard, 4.4), and ends the connection for what it can't read. With ``is_old``
it acknowledges a document of several devices as versions before 4.2.1 do: once for each device, each time with the same identifier.
"""

from __future__ import annotations

import json
import re


class Malformed(Exception):
    """What ThingsBoard would not read."""


class Device:
    def __init__(self, name, type_="default", token=None):
        self.name, self.type, self.token = name, type_, token
        self.telemetry = []
        """Pairs of time and values, in the order in which they came."""
        self.attributes = {}
        self.shared = {}
        self.answers = {}
        """By the id of an RPC."""
        self.says = {"rpc": [], "attributes/updates": []}
        """What waits for a request that stays open."""


class ThingsBoard:
    def __init__(self, token="GATEWAY", key="KEY", secret="SECRET", is_old=False):
        self.gateways = {token}
        self.profile = (key, secret)
        self.is_old = is_old
        self.devices = {}
        self.made = []
        """Names of devices that were provisioned."""
        self.refuses = lambda device, values: False
        self.replies = {}
        """What the rule chain answers to a device's request, by its method."""
        self.asked = []
        """Who asked, the method and its parameters."""
        self.connections = []

    @property
    def tokens(self):
        return {device.token: device for device in self.devices.values() if device.token}

    def device(self, name, type_="default"):
        return self.devices.setdefault(name, Device(name, type_))

    def connection(self):
        made = Connection(self)
        self.connections.append(made)
        return made

    def provision(self, said):
        if (said["provisionDeviceKey"], said["provisionDeviceSecret"]) != self.profile:
            return {"errorMsg": "Provision data was not found!", "status": "NOT_FOUND"}
        name = said["deviceName"].strip()
        if name in self.made:
            return {"errorMsg": "Failed to provision device!", "status": "FAILURE"}
        self.made.append(name)
        assert said.get("credentialsType", "ACCESS_TOKEN") == "ACCESS_TOKEN"
        token = said.get("token") or f"token-of-{name}"
        if said.get("gateway"):
            self.gateways.add(token)
        else:
            self.device(name).token = token
        return {"credentialsValue": token, "credentialsType": "ACCESS_TOKEN", "status": "SUCCESS"}

    def take_telemetry(self, device, entries):
        if not isinstance(entries, list):
            raise Malformed(f"telemetry of {device.name}: {entries}")
        for entry in entries:
            assert isinstance(entry["ts"], int) and isinstance(entry["values"], dict) and entry["values"]
            if self.refuses(device.name, entry["values"]):
                raise Malformed("refused")
            device.telemetry.append((entry["ts"], entry["values"]))

    # --- the HTTP device API

    def http(self, head, body):
        """The answer to a request: status and what is JSON, or None while it stays open."""
        method, target = head.split(" ")[:2]
        if target == "/api/v1/provision":
            return 200, self.provision(json.loads(body))
        found = re.fullmatch(r"/api/v1/([^/]+)/([a-z/]+?)(?:/(\d+))?(?:\?(.*))?", target)
        device = self.tokens.get(found[1])
        if device is None:
            return 401, b""
        what = found[2]
        if method == "GET":
            if what == "attributes":
                return 200, {}
            assert what in device.says and "timeout=" in found[4]
            return (200, device.says[what].pop(0)) if device.says[what] else None
        said = json.loads(body)
        if what == "telemetry":
            try:
                self.take_telemetry(device, said)
            except Malformed:
                return 500, b""  # as HttpOkCallback.onError says to whatever it is
        elif what == "attributes":
            assert isinstance(said, dict)
            device.attributes |= said
        elif found[3]:
            assert what == "rpc"
            device.answers[int(found[3])] = said
        else:
            assert what == "rpc" and "params" in said
            self.asked.append((device.name, said["method"], said["params"]))
            return (200, self.replies[said["method"]]) if said["method"] in self.replies else (408, b"")
        return 200, b""


class Connection:
    """An MQTT connection of a gateway, 3.1.1. `receive` returns what is answered; ``is_closed`` is whether ThingsBoard ended it."""

    def __init__(self, server):
        self.server = server
        self.is_closed = False
        self.user = None
        self.topics = set()
        self.sessions = {}
        self.published = []
        """Topics, with what was said there."""
        self.holds = False
        """While it is set, nothing is acknowledged; `release` does that."""
        self._held = []
        self._rest = b""
        self._out = b""
        self._requests = 0
        self.unacknowledged = {}
        """What it said, with QoS 1, and the gateway hasn't acknowledged: by identifier."""
        self._said = 0

    def receive(self, data):
        self._rest += data
        while (packet := self._packet()) is not None and not self.is_closed:
            try:
                self._take(*packet)
            except (Malformed, KeyError, TypeError, ValueError) as error:
                self.is_closed = error
        return self.said()

    def said(self):
        out, self._out = self._out, b""
        return out

    def release(self):
        self.holds = False
        for acks in self._held:
            self._out += acks
        self._held.clear()
        return self.said()

    def rpc(self, device, method, params):
        """Ask a device; the id of the request, or None where it can't be reached: the caller of ThingsBoard's API gets a time-out."""
        if device not in self.sessions or "v1/gateway/rpc" not in self.topics:
            return None
        self._requests += 1
        data = {"id": self._requests, "method": method, "params": params}
        self._publish("v1/gateway/rpc", {"device": device, "data": data})
        return self._requests

    def share(self, device, **values):
        """Change shared attributes; only a device with a session hears of it."""
        self.server.device(device).shared |= values
        if device in self.sessions and "v1/gateway/attributes" in self.topics:
            self._publish("v1/gateway/attributes", {"device": device, "data": values})

    def _packet(self):
        size = shift = 0
        for place, byte in enumerate(self._rest[1:5], 1):
            size |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                if len(self._rest) < place + 1 + size:
                    return None
                first, body = self._rest[0], self._rest[place + 1 : place + 1 + size]
                self._rest = self._rest[place + 1 + size :]
                return first, body
        return None

    def _take(self, first, body):
        kind = first >> 4
        if kind == 1:
            flags, at = body[7], 10
            _client, at = _text(body, at)
            self.user, at = _text(body, at) if flags & 0x80 else ("", at)
            is_in = self.user == "provision" or self.user in self.server.gateways
            self._out += b"\x20\x02\x00" + (b"\x00" if is_in else b"\x05")
            self.is_closed = False if is_in else "not authorized"
        elif kind == 8:
            filter_, at = _text(body, 2)
            codes = b""
            while True:
                self.topics.add(filter_)
                codes += body[at : at + 1]
                if at + 1 >= len(body):
                    break
                filter_, at = _text(body, at + 1)
            self._out += bytes((0x90, 2 + len(codes))) + body[:2] + codes
        elif kind == 12:
            self._out += b"\xd0\x00"
        elif kind == 4:
            del self.unacknowledged[int.from_bytes(body[:2], "big")]
        elif kind == 3:
            topic, at = _text(body, 0)
            qos = first >> 1 & 3
            if not qos:
                raise Malformed("a publication with QoS 0 has no identifier to acknowledge")
            if len(body) > 65_536:
                raise Malformed("too long")
            said = json.loads(body[at + 2 :])
            self.published.append((topic, said))
            acks = self._published(topic, said) * (b"\x40\x02" + body[at : at + 2])
            if self.holds:
                self._held.append(acks)
            else:
                self._out += acks
        elif kind != 14:
            raise Malformed(f"packet {kind}")

    def _published(self, topic, said):
        """How many times it is acknowledged."""
        if self.user == "provision":
            if topic != "/provision/request":
                raise Malformed(topic)
            self._publish("/provision/response", self.server.provision(said))
            return 1
        if topic == "v1/gateway/connect":
            self._session(said["device"], said.get("type") or "default")
            return 1
        if topic in ("v1/gateway/telemetry", "v1/gateway/attributes"):
            if not said:
                raise Malformed("no devices")
            for name, values in said.items():
                device = self._session(name)
                if topic.endswith("telemetry"):
                    self.server.take_telemetry(device, values)
                elif isinstance(values, dict):
                    device.attributes |= values
                else:
                    raise Malformed(f"attributes of {name}: {values}")
            return len(said) if self.server.is_old else 1
        if topic == "v1/gateway/attributes/request":
            assert said["client"] is False and said["keys"]
            device = self._session(said["device"])
            found = {key: device.shared[key] for key in said["keys"] if key in device.shared}
            values = (
                {"value": next(iter(found.values()))}
                if len(said["keys"]) == len(found) == 1
                else {"values": found}
            )
            more = values if found else {}
            self._publish(
                "v1/gateway/attributes/response", {"id": int(said["id"]), "device": device.name, **more}
            )
            return 1
        if topic == "v1/gateway/rpc":
            self._session(said["device"]).answers[int(said["id"])] = said["data"]
            return 1
        if found := re.fullmatch(r"v1/devices/me/rpc/request/(\d+)", topic):
            self.server.asked.append((None, said["method"], said["params"]))
            if said["method"] in self.server.replies:
                self._publish(f"v1/devices/me/rpc/response/{found[1]}", self.server.replies[said["method"]])
            return 1
        raise Malformed(topic)

    def _session(self, name, type_="default"):
        if not name:
            raise Malformed("Device name is empty!")
        if name not in self.sessions:
            self.sessions[name] = self.server.device(name, type_)
        return self.sessions[name]

    def _publish(self, topic, said):
        if topic not in self.topics and re.sub(r"[^/]+$", "+", topic) not in self.topics:
            return
        self._said += 1
        self.unacknowledged[self._said] = topic, said
        head = len(topic).to_bytes(2, "big") + topic.encode() + self._said.to_bytes(2, "big")
        body = head + json.dumps(said).encode()
        size, rest = b"", len(body)
        while True:
            rest, low = rest >> 7, rest & 127
            size += bytes((low | (128 if rest else 0),))
            if not rest:
                break
        self._out += b"\x32" + size + body


def _text(body, at):
    end = at + 2 + int.from_bytes(body[at : at + 2], "big")
    return body[at + 2 : end].decode(), end
