"""iotgw: an IoT gateway. ``iotgw.tap`` puts it together; ``docs/architecture.md`` shows the house."""

__version__ = "0.1.0"
