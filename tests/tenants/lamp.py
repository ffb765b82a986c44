"""What the first tenant has: one or two things of every kind.

Those called ``lamp-…`` are known to the other tenant, who asks for them by name and id. `MARK` stands in all that is in
them, and in the names of others that he doesn't know.
"""

from __future__ import annotations

import base64
import socket
from typing import Any

from msgspec import Struct
from twisted.internet import reactor
from twisted.internet.task import deferLater

from tests.peers.coap import con_post
from tests.peers.process import free_udp_port
from tests.tenants.house import House

MARK = "quixotry"
TENANT, OTHER = "first", "second"
SCRIPT = """
var text = decodeToString(payload);
if (text === "fail") { throw new Error("WORD"); }
return {
  deviceName: text === "known" ? "NAME-device" : "NAME-" + text, deviceType: "WORD",
  attributes: {WORD: "WORD"}, telemetry: {WORD: "WORD"}
};
"""


class Known(Struct, frozen=True):
    """What the other tenant may have heard of: names and ids, by the collection in whose paths they stand."""

    names: dict[str, list[str]]
    messages: list[str]
    downlinks: list[str]
    secret_ids: list[str]
    """Ids of what he has not heard of."""

    @property
    def all(self) -> list[str]:
        return [*[name for names in self.names.values() for name in names], *self.messages, *self.downlinks]


async def furnish(house: House, admin: str, name: str, word: str) -> dict[str, Any]:
    """Make one of everything for the owner of a token: it is called ``{name}-…``, and has ``word`` in it. Returns what the API
    answered, by collection."""
    made: dict[str, Any] = {}

    async def create(collection: str, **body: Any) -> None:
        made[collection] = await house.ok(admin, "POST", f"/{collection}", body)

    script = SCRIPT.replace("WORD", word).replace("NAME", name)
    tests = [{"name": word, "text": word, "output": word}]
    await create("converters", name=f"{name}-convert", script=script, description=word, tests=tests)
    secrets = [{"value": word * 2}]
    await create(
        "credentials", name=f"{name}-credential", identity=f"{name}-identity", device=f"{name}-meter", secrets=secrets,
        description=word,
    )  # fmt: skip
    await create(
        "datasources", name=f"{name}-web", type="http", routingKey=f"{name}-key", converter=f"{name}-convert",
        metadata={word: word}, description=word, downlinkWindows={f"{name}-device": 0, word: 1},
        configuration={"headersFilter": {}, "security": {"mode": "none", "username": word}},
    )  # fmt: skip
    await create(
        "integrations", name=f"{name}-out", type="http", description=word, retry={"maxAttempts": 1},
        configuration={"url": f"{house.target}/{word}", "headers": {"X-Word": word}}, route={"deviceTypes": [word]},
    )  # fmt: skip
    await create("device-types", name=f"{name}-type", description=word, batteryKey=word)
    await create("device-groups", name=f"{name}-group", description=word, reportEvery=86400)
    await create(
        "devices", name=f"{name}-meter", label=word, type=f"{name}-type", groups=[f"{name}-group", word], notes=word, tags={word: word},
        identity=f"{name}-identity", place=word, serial=word,
    )  # fmt: skip
    for payload in ("known", word, "fail"):
        await house.ok("", "POST", f"/i/{name}-key", data=payload.encode())
    down = f"/devices/{name}-device/downlinks?allowUnknown=true"
    made["downlinks"] = await house.ok(
        admin, "POST", down, {"data": base64.b64encode(word.encode()).decode(), "metadata": {word: word}}
    )

    async def settled() -> bool:
        messages = await house.ok(admin, "GET", "/messages")
        letters = await house.ok(admin, "GET", f"/integrations/{name}-out/dead-letters")
        told = await house.ok(admin, "GET", f"/events?name={name}-out&type=delivery.dead")
        states = [message["state"] for message in messages["items"]]
        is_converted = sorted(states[:3]) == ["converted", "converted", "failed"]
        return is_converted and len(letters["items"]) >= 2 and told["items"]

    await house.until(settled)
    await house.ok(admin, "POST", f"/integrations/{name}-out/pause")
    made["jobs"] = await house.ok(admin, "POST", "/jobs", {"reprocess": {"text": word, "device": word}})
    made["messages"] = (await house.ok(admin, "GET", "/messages"))["items"][:3]
    await _guest(house, admin, name, word, create)
    return made


async def _guest(house: House, admin: str, name: str, word: str, create: Any) -> None:
    """A device in quarantine, and one that has registered with LwM2M."""
    port = free_udp_port()
    await create(
        "datasources", name=f"{name}-door", type="http", routingKey=f"{name}-door-key", converter=f"{name}-convert",
        unknownDevices="quarantine", description=word,
    )  # fmt: skip
    await house.ok("", "POST", f"/i/{name}-door-key", data=b"guest")
    local = {"interface": "127.0.0.1", "port": port}
    await create("datasources", name=f"{name}-lwm2m", type="lwm2m", configuration=local, description=word)

    async def held() -> Any:
        return (await house.ok(admin, "GET", "/quarantine"))["items"]

    async def registered() -> Any:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
            links = f"<{word}>,</3/0>".encode()
            device.sendto(con_post(1, b"t", "rd", links, f"ep={name[:8]}"), ("127.0.0.1", port))
            await deferLater(reactor, 0.05)
        return (await house.ok(admin, "GET", f"/datasources/{name}-lwm2m/sessions"))["items"]

    async def at_rest() -> bool:
        messages = (await house.ok(admin, "GET", "/messages"))["items"]
        return all(message["state"] != "received" for message in messages)

    await house.until(held)
    await house.until(registered)
    await house.until(at_rest)


async def first_tenant(house: House) -> Known:
    """Fill it."""
    admin = await house.token("admin", TENANT, MARK)
    lamp = await furnish(house, admin, "lamp", MARK)
    hidden = await furnish(house, admin, MARK, MARK)
    token = await house.ok(admin, "POST", "/tokens", {"name": "lamp-token", "role": "viewer"})
    kinds = (
        "converters",
        "credentials",
        "datasources",
        "integrations",
        "device-types",
        "device-groups",
        "jobs",
    )
    names = {kind: [lamp[kind].get("name", lamp[kind]["id"]), lamp[kind]["id"]] for kind in kinds}
    names["datasources"] += ["lamp-web", "lamp-door"]
    names["quarantine"] = ["lamp-guest"]
    names["devices"] = ["lamp-device", "lamp-meter"]
    names["tokens"] = ["lamp-token", token["id"]]
    names["keys"] = ["lamp-identity", "lamp-key"]
    ids = [hidden[kind]["id"] for kind in kinds] + [hidden["downlinks"]["id"]]
    messages = [message["id"] for message in lamp["messages"]]
    return Known(names, messages, [lamp["downlinks"]["id"]], ids)
