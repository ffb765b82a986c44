-- Known devices and their last state, written behind.

CREATE TABLE device (
    id           INTEGER PRIMARY KEY,
    tenant       TEXT NOT NULL,
    name         TEXT NOT NULL,
    type         TEXT NOT NULL,
    datasource   TEXT NOT NULL,         -- the last one it was heard through
    first_ms     INTEGER NOT NULL,
    last_ms      INTEGER NOT NULL,
    attributes   BLOB NOT NULL,         -- JSON: {key: value}
    telemetry    BLOB NOT NULL,         -- JSON: {key: value}, the newest of each key
    times        BLOB NOT NULL,         -- JSON: {key: ts}
    UNIQUE (tenant, name)
);
