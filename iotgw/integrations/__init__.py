"""Where data goes out: one file per type of target."""
