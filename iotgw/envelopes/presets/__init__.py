"""Presets: platforms as data, one TOML file each, read alike over HTTP and MQTT."""
