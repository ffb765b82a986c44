-- The journal: what came in, what became of it, and how far each consumer is.
--
-- Positions (seq) only grow; the writer never uses one twice. Tenants, datasources, converters and
-- integrations are numbers of the table `name`. Times are milliseconds since 1970 UTC.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE name (
    id   INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
);

CREATE TABLE uplink (
    seq         INTEGER PRIMARY KEY,
    tenant      INTEGER NOT NULL,
    datasource  INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    metadata    BLOB NOT NULL,          -- JSON
    payload     BLOB NOT NULL
);
-- For a datasource that lags: its uplinks without those of the others.
CREATE INDEX uplink_of_datasource ON uplink (datasource);

CREATE TABLE outcome (
    seq       INTEGER PRIMARY KEY,      -- the uplink's
    state     INTEGER NOT NULL,         -- model.State
    converter INTEGER NOT NULL,
    telemetry INTEGER NOT NULL,         -- first telemetry record of this conversion; older ones were replaced
    error     BLOB                      -- model.ConversionError as JSON
);
CREATE INDEX outcome_unconverted ON outcome (state) WHERE state <> 1;

CREATE TABLE telemetry (
    seq         INTEGER PRIMARY KEY,
    uplink      INTEGER NOT NULL,       -- 0 for an event
    tenant      INTEGER NOT NULL,
    datasource  INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    kind        INTEGER NOT NULL,       -- model.Kind
    device_name TEXT NOT NULL,
    device_type TEXT NOT NULL,
    body        BLOB NOT NULL           -- JSON
);
-- Grows at its end only. It covers the search for a device's messages, newest first: an index by device
-- would touch a page per message.
CREATE INDEX telemetry_of_uplink ON telemetry (uplink, device_name) WHERE uplink <> 0;

-- Up to where each datasource's uplinks are converted.
CREATE TABLE conversion (
    datasource INTEGER PRIMARY KEY,
    cursor     INTEGER NOT NULL
);

-- How many uplinks of a datasource are in each state, since the journal was made. State 0 counts all that
-- were received.
CREATE TABLE tally (
    datasource INTEGER NOT NULL,
    state      INTEGER NOT NULL,
    count      INTEGER NOT NULL,
    PRIMARY KEY (datasource, state)
) WITHOUT ROWID;

CREATE TABLE integration (
    id       INTEGER PRIMARY KEY,
    cursor   INTEGER NOT NULL,
    counters BLOB NOT NULL              -- model.Counters as JSON
);

-- Deliveries that an integration's cursor has passed without settling them, each with its record.
CREATE TABLE parked (
    integration INTEGER NOT NULL,
    seq         INTEGER NOT NULL,
    state       INTEGER NOT NULL,       -- model.DeliveryState
    attempts    INTEGER NOT NULL,
    next_try_ms INTEGER NOT NULL,
    error       TEXT NOT NULL,
    uplink      INTEGER NOT NULL,
    tenant      INTEGER NOT NULL,
    datasource  INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    kind        INTEGER NOT NULL,
    device_name TEXT NOT NULL,
    device_type TEXT NOT NULL,
    body        BLOB NOT NULL,
    PRIMARY KEY (integration, seq)
);
CREATE INDEX parked_due ON parked (integration, next_try_ms) WHERE state = 2 AND next_try_ms > 0;
CREATE INDEX parked_of_device ON parked (integration, device_name, seq);

-- The journal's clock: what was received at or after a time stands after these positions.
CREATE TABLE mark (
    at_ms     INTEGER PRIMARY KEY,
    uplink    INTEGER NOT NULL,
    telemetry INTEGER NOT NULL
);
