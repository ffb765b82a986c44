"""The journal, the registry, devices and downlinks on SQLite."""
