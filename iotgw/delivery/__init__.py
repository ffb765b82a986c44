"""The store-and-forward machine between the telemetry stream and the integrations.

`DeliveryService` is what others ask, `Outboxes` knows which integrations run, and each of them has an `Outbox`: parts
with their own state that know each other by verbs.

    journal ──▶ Backlog ──────▶ ┐                        ┌ Flight ──────────┐
            ──▶ Parking ──────▶ ├ Scheduler ──▶ Pump ──▶ │ target           │
            ──▶ DeadLetters ──▶ ┘                        └──── verdict ───┐ │
                                                                          ▼ ▼
    journal ◀── ProgressWriter ◀── Accounts, RowChanges ◀───────────── Settlement ──▶ TargetHealth

`Backlog` holds what waits in the stream, `Flight` what was taken from it, `Parking` what failed and what waits
behind it, `DeadLetters` what was given up. `Pump` decides when something is sent, `Scheduler` what. `Settlement` turns
the target's verdict into an end, a further try, or a rest of the whole target (`TargetHealth`). `QueueLimits` and
`Seeking` end records without sending them. Every end is counted in `Accounts`, and changed rows gather in
`RowChanges`; both are written with the cursor, which is the place before the oldest record in `Flight`.
"""
