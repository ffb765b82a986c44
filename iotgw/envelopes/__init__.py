"""The formats that vendors and platforms put around a payload, without I/O: one file per vendor."""
