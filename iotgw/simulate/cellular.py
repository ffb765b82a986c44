"""Platforms of devices that aren't LoRaWAN's, as `iotgw.simulate.platforms` has them. The devices' EUI is their name."""

from __future__ import annotations

from datetime import UTC, datetime

from iotgw.simulate.radio import Form, Post, RadioFrame


def huawei_iotda(frame: RadioFrame) -> Post:
    """IoTDA's push of properties."""
    at = datetime.fromtimestamp(frame.now_ms / 1000, UTC)
    service = {
        "service_id": "thermometer",
        "properties": {"raw": frame.payload.hex()},
        "event_time": f"{at:%Y%m%dT%H%M%SZ}",
    }
    return Post(
        "",
        {
            "resource": "device.property",
            "event": "report",
            "event_time_ms": frame.iso,
            "request_id": f"{frame.eui}-{frame.now_ms}",
            "notify_data": {
                "header": {
                    "device_id": f"device-{frame.eui}",
                    "node_id": frame.eui,
                    "product_id": "simulated",
                },
                "body": {"services": [service]},
            },
        },
    )


def oceanconnect(frame: RadioFrame) -> Post:
    """OceanConnect's push of a message's services."""
    at = datetime.fromtimestamp(frame.now_ms / 1000, UTC)
    service = {
        "serviceId": "thermometer",
        "serviceType": "thermometer",
        "data": {"raw": frame.payload.hex()},
        "eventTime": f"{at:%Y%m%dT%H%M%SZ}",
    }
    return Post(
        "",
        {
            "notifyType": "deviceDatasChanged",
            "requestId": f"{frame.eui}-{frame.now_ms}",
            "deviceId": frame.eui,
            "gatewayId": frame.eui,
            "services": [service],
        },
    )


def iot_creators(frame: RadioFrame) -> Post:
    """CDP's report."""
    report = {
        "serialNumber": f"IMEI:{frame.eui}",
        "timestamp": frame.now_ms,
        "subscriptionId": "simulated",
        "resourcePath": "uplinkMsg/0/data",
        "value": frame.payload.hex(),
    }
    return Post("", {"reports": [report], "registrations": [], "responses": []})


def particle(frame: RadioFrame) -> Post:
    """A webhook with the default JSON."""
    return Post(
        "",
        {"event": "temperature", "data": frame.payload.hex(), "coreid": frame.eui, "published_at": frame.iso},
    )


def sigfox(frame: RadioFrame) -> Post:
    """A callback BIDIR: every device listens."""
    return Post(
        "",
        {
            "device": frame.eui,
            "data": frame.payload.hex(),
            "time": frame.now_ms // 1000,
            "seqNumber": frame.counter % 4096,
            "ack": True,
            "rssi": str(frame.rssi),
        },
    )


FORMS: dict[str, Form] = {
    "huawei-iotda": huawei_iotda,
    "iot-creators": iot_creators,
    "oceanconnect": oceanconnect,
    "particle": particle,
    "sigfox": sigfox,
}
