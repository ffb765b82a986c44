-- The last record of a device that says all that the record before it said. While a device's records are alike,
-- this small row is all that changes.

CREATE TABLE latest (
    device  INTEGER PRIMARY KEY,    -- device.id
    at_ms   INTEGER NOT NULL,       -- when it was received
    body    BLOB NOT NULL           -- JSON: what the converter made, over what device holds
);
