"""Simulated network platforms: LoRaWAN devices whose uplinks a network server or a cloud posts over HTTP."""

from __future__ import annotations

import json
import random
from collections import deque

from iotgw.simulate import cellular, networks
from iotgw.simulate.device import Reaction, walk
from iotgw.simulate.platform_words import answered, asked
from iotgw.simulate.radio import Form, Post, RadioFrame


def the_things_stack(frame: RadioFrame) -> Post:
    """An ``ApplicationUp`` with ``uplink_message``."""
    return Post(
        "",
        {
            "end_device_ids": {
                "device_id": f"eui-{frame.eui.lower()}",
                "application_ids": {"application_id": "simulated"},
                "dev_eui": frame.eui,
            },
            "received_at": frame.iso,
            "uplink_message": {
                "session_key_id": f"simulated-{frame.eui}",
                "f_port": frame.port,
                "f_cnt": frame.counter,
                "frm_payload": frame.base64,
                "rx_metadata": [{"gateway_ids": {"gateway_id": "roof"}, "rssi": frame.rssi, "snr": 7.5}],
                "settings": {
                    "data_rate": {"lora": {"bandwidth": 125000, "spreading_factor": 7}},
                    "frequency": "868100000",
                },
                "received_at": frame.iso,
            },
        },
    )


def chirpstack(frame: RadioFrame) -> Post:
    """ChirpStack's ``UplinkEvent``."""
    return Post(
        "?event=up",
        {
            "deduplicationId": f"{frame.eui.lower()}-{frame.counter}-{frame.now_ms}",
            "time": frame.iso,
            "deviceInfo": {
                "applicationName": "simulated",
                "deviceProfileName": "thermometer",
                "deviceName": f"node-{frame.eui[-4:]}",
                "devEui": frame.eui.lower(),
            },
            "fCnt": frame.counter,
            "fPort": frame.port,
            "data": frame.base64,
            "rxInfo": [{"gatewayId": "0016c001f153a14c", "rssi": frame.rssi, "snr": 7.5}],
            "txInfo": {
                "frequency": 868100000,
                "modulation": {"lora": {"bandwidth": 125000, "spreadingFactor": 7}},
            },
        },
    )


def loriot(frame: RadioFrame) -> Post:
    """LORIOT's ``rx``."""
    return Post(
        "",
        {
            "cmd": "rx",
            "EUI": frame.eui,
            "seqno": frame.counter,
            "ts": frame.now_ms,
            "fcnt": frame.counter,
            "port": frame.port,
            "freq": 868100000,
            "rssi": frame.rssi,
            "snr": 7.5,
            "dr": "SF7 BW125 4/5",
            "data": frame.payload.hex(),
        },
    )


def everynet(frame: RadioFrame) -> Post:
    """Everynet's ``uplink``."""
    meta = {
        "device": frame.eui.lower(),
        "packet_hash": f"{frame.eui}{frame.counter}",
        "gateway": "b0fd0b7000fd0000",
    }
    radio = {"freq": 868.1, "hardware": {"rssi": frame.rssi, "snr": 7.5}, "modulation": {"spreading": 7}}
    params = {"port": frame.port, "payload": frame.base64, "counter_up": frame.counter}
    return Post(
        "",
        {
            "type": "uplink",
            "meta": meta,
            "params": {**params, "rx_time": frame.now_ms / 1000, "radio": radio},
        },
    )


def kerlink_wanesy(frame: RadioFrame) -> Post:
    """Wanesy's ``dataUp``."""
    return Post(
        "/dataUp",
        {
            "id": f"{frame.eui}{frame.now_ms}",
            "endDevice": {"devEui": frame.eui},
            "fPort": frame.port,
            "fCntUp": frame.counter,
            "payload": frame.payload.hex(),
            "encodingType": "HEXA",
            "recvTime": frame.now_ms,
            "dataRate": "SF7BW125",
            "gwInfo": [{"gwEui": "7276FF000B0324E2", "rssi": frame.rssi, "snr": 7.5}],
        },
    )


PLATFORMS: dict[str, Form] = {
    "ttn": the_things_stack,
    "chirpstack": chirpstack,
    "loriot": loriot,
    "everynet": everynet,
    "kerlink-wanesy": kerlink_wanesy,
    **networks.FORMS,
    **cellular.FORMS,
}
"""The kinds of `iotgwctl simulate`."""


class PlatformDevice:
    """A thermometer behind a platform: two bytes, tenths of a degree. ``path`` is that of the upload. Every ``repeat``-th uplink is
    sent twice, as by a platform that missed the answer; 0 is never. What the platform says besides, such as the receipts of
    downlinks, takes the place of its next uplinks."""

    patience = 10.0

    def __init__(self, rng: random.Random, platform: str, path: str = "", repeat: int = 0) -> None:
        self._rng = rng
        self._platform = platform
        self._form = PLATFORMS[platform]
        self._path = path or f"/i/demo-{platform}"
        self._repeat = repeat
        self.identity = f"70B3D57E{rng.randrange(16**8):08X}"
        self._temperature = rng.uniform(15, 25)
        self._counter = 0
        self._heard = b""
        self._to_say: deque[Post] = deque()

    def say(self, posts: list[Post]) -> None:
        """The platform has something to say of this device."""
        self._to_say += posts

    def uplink(self, now_ms: int) -> bytes:
        """A request of the platform."""
        self._heard = b""
        if self._to_say:
            return self._request(self._to_say.popleft())
        self._temperature = walk(self._rng, self._temperature, 0.3, -20, 40)
        payload = round(self._temperature * 10).to_bytes(2, "big", signed=True)
        post = self._form(
            RadioFrame(self.identity, payload, self._counter, now_ms, self._rng.randrange(-120, -30))
        )
        if self._repeat and self._counter % self._repeat == self._repeat - 1:
            self._to_say.append(post)
        self._to_say += asked(self._platform, self.identity, self._counter)
        self._counter += 1
        return self._request(post)

    def _request(self, post: Post) -> bytes:
        body = json.dumps(post.body).encode()
        more = "".join(f"{name}: {value}\r\n" for name, value in post.headers.items())
        head = (
            f"POST {self._path}{post.rest} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def received(self, data: bytes, now_ms: int) -> Reaction:
        """2xx is the gateway's word. Few platforms read a body: it is a downlink there."""
        self._heard += data
        head, ended, body = self._heard.partition(b"\r\n\r\n")
        if not ended:
            return Reaction()
        if b"transfer-encoding: chunked" in head.lower():
            if not body.endswith(b"0\r\n\r\n"):
                return Reaction()
            body = body.partition(b"\r\n")[2].rpartition(b"\r\n0\r\n")[0]
        posts = answered(self._platform, self.identity, body) if body else None
        self.say(posts or [])
        is_answer = head.split(b" ")[1:2][0][:1] == b"2"
        return Reaction(is_done=True, is_answer=is_answer, downlinks=int(posts is not None))
