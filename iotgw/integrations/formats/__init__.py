"""Bodies in the formats of standards and of well-known targets, one file each; `table` has them by name."""
