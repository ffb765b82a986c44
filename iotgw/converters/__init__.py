"""User scripts turn uplinks into telemetry, in worker processes that can be killed."""
