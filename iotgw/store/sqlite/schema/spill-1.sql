-- Uplinks that were acknowledged while the journal's database was away, under the positions that they have in the journal.
CREATE TABLE spilled (seq INTEGER PRIMARY KEY, tenant TEXT NOT NULL, datasource TEXT NOT NULL, received_ms INTEGER NOT NULL,
    metadata BLOB NOT NULL, payload BLOB NOT NULL);
-- The epoch in which these positions were given.
CREATE TABLE origin (one INTEGER PRIMARY KEY CHECK (one = 1), epoch TEXT NOT NULL, uplink INTEGER NOT NULL, telemetry INTEGER NOT NULL);
