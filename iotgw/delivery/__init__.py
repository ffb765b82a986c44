"""The store-and-forward machine between the telemetry stream and the integrations.

`DeliveryService` (what others ask) → `Outboxes` (which integrations run) → an `Outbox` for each, made of parts
that have their own state and know each other by verbs:

    journal ──records──▶ Backlog ─┐              ┌──────────▶ target
      ▲  ▲                        ├─▶ Scheduler ─▶ Pump
      │  └─────rows──▶ Parking ───┤              ◀── verdict ─┘
      │                DeadLetters┘                  │
      │                                              ▼
      └── ProgressWriter ◀── Accounts, RowChanges ◀── Settlement ──▶ Flight, Parking, DeadLetters, TargetHealth

`Backlog` holds what waits in the stream, `Flight` what was taken from it, `Parking` what failed and what waits behind
it, `DeadLetters` what was given up. `Pump` decides when something is sent, `Scheduler` what; `Settlement` turns the
target's verdict into an end, a further try or a pause of the whole target (`TargetHealth`). `QueueLimits` and `Seeking`
end records without sending them. Every end is counted in `Accounts`. Changed rows gather in `RowChanges`; both are written
together with the cursor, which is the place before the oldest record in `Flight`.
"""
