"""The queue of messages to devices: one per device, durable, with states that are true."""
