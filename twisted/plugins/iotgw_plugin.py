"""Names the tap module for ``twistd iotgw``; nothing else happens here."""

from twisted.application.service import ServiceMaker

iotgw = ServiceMaker(
    "iotgw",
    "iotgw.app.tap",
    "IoT gateway: device data in over CoAP, TCP, UDP, HTTP and MQTT, telemetry out to HTTP, MQTT and SFTP.",
    "iotgw",
)
