"""The store-and-forward machine between the telemetry stream and the integrations.

`DeliveryService` is the way in for other rooms. `Outboxes` holds the integrations that are running. Each of them has
an `Outbox`, which is made of the parts below. Each part keeps its own state, and the others only call its methods.

    journal ──▶ Backlog ──────▶ ┐                        ┌ Flight ──────────┐
            ──▶ Parking ──────▶ ├ Scheduler ──▶ Pump ──▶ │ target           │
            ──▶ DeadLetters ──▶ ┘                        └──── verdict ───┐ │
                                                                          ▼ ▼
    journal ◀── ProgressWriter ◀── Accounts, RowChanges ◀───────────── Settlement ──▶ TargetHealth

`Backlog` holds the records that wait in the stream, and `Flight` those that were taken from it. `Parking` holds
records that failed, with those that wait behind them. `DeadLetters` holds the records that were given up. `Pump`
decides when to send, and `Scheduler` decides what. `Settlement` turns the target's verdict into an outcome, another
attempt, or a pause for the whole target (`TargetHealth`). `QueueLimits` and `Seeking` settle records without sending
them. A target whose records are split is a `PartedTarget` around the real one. `Accounts` counts every outcome, and `RowChanges` collects the rows that changed. Both are written together with
the cursor, which stands just before the oldest record in `Flight`.
"""
