"""The commands of `iotgwctl`, one file per noun. Each has ``add(commands)``."""
