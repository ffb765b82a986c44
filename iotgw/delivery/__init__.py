"""The store-and-forward machine between the telemetry stream and the integrations."""
