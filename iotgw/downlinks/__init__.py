"""The queue of downlinks: one per device, durable, with states that tell what really happened."""
