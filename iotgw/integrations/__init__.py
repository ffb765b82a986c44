"""Where data goes out: the delivery service and one file per target."""
