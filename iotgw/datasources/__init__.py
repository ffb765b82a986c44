"""Where data comes in: one file per type, each binds `wire` to the gateway."""
