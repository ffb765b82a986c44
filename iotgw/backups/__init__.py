"""Backups on a schedule: where they go, and how many are kept. `iotgw.store.backups` makes them."""
