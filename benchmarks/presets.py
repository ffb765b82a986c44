"""What a preset costs: CPU of an upload over HTTP with it, over that of a plain one with the same body.

    python benchmarks/presets.py [--rounds 15] [--uploads 2000]

Everything from the bytes of the request to the answer is measured: Twisted's HTTP, the datasource, the preset, and the
metadata as JSON. The journal and the converters, which come behind, are the same for both, so the ratio of whole messages
is lower. Rounds alternate; the ratio is the median of all pairs. How many functions are called, Python's and those in C, is counted
besides: that is the same on any machine, however busy.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from types import FrameType
from typing import Any

import msgspec
from twisted.internet.address import IPv4Address
from twisted.internet.testing import StringTransport
from twisted.web.server import Site

from iotgw.core.clock import PlainCalendar
from iotgw.core.model import STORED
from iotgw.core.shared import SharedResources
from iotgw.core.specs import DatasourceSpec
from iotgw.datasources.http.datasource import HttpSourceType
from iotgw.datasources.http.mounts import HttpMounts, MountRoot
from iotgw.datasources.http.settings import HttpSourceSettings
from iotgw.devices.fleet import Fleet
from iotgw.devices.platform_names import PlatformNames
from iotgw.pipeline.naming import DeviceNaming
from iotgw.pipeline.sources import Source
from iotgw.testing import (
    FakeIntake,
    FakeSpeakers,
    MemoryDeviceEntries,
    MemoryDevices,
    MemoryPlatformNames,
    MemoryRegistry,
    datasource_context,
    fired,
)
from iotgw.testing.reactor import clock

TTS = {
    "end_device_ids": {"device_id": "probe-7", "application_ids": {"application_id": "fields"}, "dev_eui": "70B3D57ED0000017",
                       "join_eui": "70B3D57ED0000001", "dev_addr": "260B1234"},
    "correlation_ids": [f"gs:uplink:01H0S7ZJGS6D9TJSKJN8XNTMA{n}" for n in range(7)],
    "received_at": "2026-05-19T05:33:35.848446463Z",
    "uplink_message": {
        "session_key_id": "AYfqmb0pc/1uRZv9xUydgQ==", "f_port": 2, "f_cnt": 10335, "frm_payload": "AOcBAgMEBQYHCA==",
        "rx_metadata": [{"gateway_ids": {"gateway_id": f"roof-{n}", "eui": "6A7E111A10000000"}, "time": "2026-05-19T05:33:35.608982Z",
                         "timestamp": 3893546133, "rssi": -35 - n, "channel_rssi": -35 - n, "snr": 13.2, "channel_index": 3,
                         "uplink_token": "CiIKIAoUZXVpLTZhN2UxMTFhMTAwMDAwMDASCCThJP/+9k6eEJWZy8AOGgwIr5ScowYQvNbUsQIgiMy8y6jwpwE="}
                        for n in range(2)],
        "settings": {"data_rate": {"lora": {"bandwidth": 125000, "spreading_factor": 7}}, "frequency": "867100000"},
        "received_at": "2026-05-19T05:33:35.641841782Z",
    },
}  # fmt: skip
CHIRPSTACK = {
    "deduplicationId": "57433366-50a6-4dc2-8145-2df1bbc70d9e", "time": "2026-05-22T07:47:05.404859+00:00",
    "deviceInfo": {"tenantId": "52f14cd4-c6f1-4fbd-8f87-4025e1d49242", "tenantName": "ChirpStack", "applicationName": "fields",
                   "applicationId": "ca739e26-7b67-4f14-b69e-d568c22a5a75", "deviceProfileName": "meter",
                   "deviceName": "probe-7", "devEui": "70b3d57ed0000017", "tags": {}},
    "devAddr": "20000001", "adr": True, "dr": 5, "fCnt": 4, "fPort": 2, "confirmed": False, "data": "AOcBAgMEBQYHCA==",
    "rxInfo": [{"gatewayId": f"6a7e111a1000000{n}", "uplinkId": 24022, "time": "2026-05-22T07:47:05.404859+00:00", "rssi": -35 - n,
                "snr": 11.5, "channel": 2, "location": {}, "context": "EFwMtA==", "crcStatus": "CRC_OK",
                "metadata": {"region_common_name": "EU868", "region_config_id": "eu868"}} for n in range(2)],
    "txInfo": {"frequency": 868500000, "modulation": {"lora": {"bandwidth": 125000, "spreadingFactor": 7, "codeRate": "CR_4_5"}}},
}  # fmt: skip
CASES = {"the-things-stack": (TTS, "/i/key"), "chirpstack": (CHIRPSTACK, "/i/key?event=up")}


class EncodingIntake(FakeIntake):
    """Answers at once, after it has named the device and encoded the metadata as the pipeline does. It keeps nothing."""

    count = 0

    def __init__(self) -> None:
        super().__init__()
        entries, time = MemoryDeviceEntries(), clock()
        fleet = Fleet(
            entries, MemoryDevices(), FakeSpeakers(), MemoryRegistry(), time, PlainCalendar(time), print
        )
        source = Source("ds", "default", DatasourceSpec(name="ds", type="http"))
        self._naming = DeviceNaming(source, PlatformNames(MemoryPlatformNames(), fleet), print)

    def receive(self, payload, metadata, answer, received_ms=0, listens=True, key=""):
        if "deviceName" in metadata:
            metadata = self._naming.named(metadata) or fired(self._naming.ask(metadata))
        msgspec.json.encode(metadata)
        self.count += 1
        answer(STORED)


class Listener:
    """A datasource behind a connection that is kept open."""

    def __init__(self, body: dict, path: str, **settings) -> None:
        self.intake = EncodingIntake()
        given = datasource_context(self.intake, clock(), shares=SharedResources(HttpMounts()))
        HttpSourceType(clock()).build(msgspec.convert(settings, HttpSourceSettings), given).start()
        self._channel = Site(MountRoot(given.shared(HttpMounts))).buildProtocol(
            IPv4Address("TCP", "192.0.2.7", 4000)
        )
        self._transport = StringTransport(peerAddress=IPv4Address("TCP", "192.0.2.7", 4000))
        self._channel.makeConnection(self._transport)
        data = json.dumps(body).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: gateway\r\nUser-Agent: lorawan-stack/3.30\r\nContent-Type: application/json\r\n"
            f"X-Tts-Domain: eu1.cloud.thethings.network\r\nAuthorization: Bearer x\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        self._request = head.encode() + data

    def seconds(self, uploads: int) -> float:
        """CPU of so many uploads."""
        begin = time.process_time()
        for _ in range(uploads):
            self._channel.dataReceived(self._request)
        spent = time.process_time() - begin
        assert self.intake.count == uploads, self._transport.value()[-300:]
        self.intake.count = 0
        self._transport.clear()
        return spent

    def calls(self, uploads: int = 20) -> float:
        """Functions that an upload calls."""
        count = 0

        def seen(frame: FrameType, event: str, argument: Any) -> None:
            nonlocal count
            count += event in ("call", "c_call")

        self.seconds(uploads)
        sys.setprofile(seen)
        try:
            self.seconds(uploads)
        finally:
            sys.setprofile(None)
        return count / uploads


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--uploads", type=int, default=2000)
    options = parser.parse_args()
    print("| preset | body | plain | with it | ratio | of calls |\n|---|---|---|---|---|---|")
    for name, (body, path) in CASES.items():
        plain, preset = Listener(body, path), Listener(body, path, preset=name)
        pairs = [
            (plain.seconds(options.uploads), preset.seconds(options.uploads)) for _ in range(options.rounds)
        ]
        before, after = (statistics.median(side) / options.uploads * 1e6 for side in zip(*pairs, strict=True))
        ratio = statistics.median(b / a for a, b in pairs)
        called = preset.calls() / plain.calls()
        print(
            f"| `{name}` | {len(json.dumps(body))} B | {before:.0f} µs | {after:.0f} µs | {ratio:.2f} | {called:.2f} |"
        )


if __name__ == "__main__":
    main()
