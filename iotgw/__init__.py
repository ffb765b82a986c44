"""iotgw: an IoT gateway. `iotgw.app` puts it together; `docs/architecture.md` shows the house."""

__version__ = "0.1.0"
