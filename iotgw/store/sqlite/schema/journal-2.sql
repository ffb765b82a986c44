-- Each start that stores something opens an epoch: positions after these two are named by it (message ids, keys of
-- deliveries), up to where the next one begins. What a journal of an earlier version holds is of the one that it had.

CREATE TABLE epoch (
    name      TEXT PRIMARY KEY,
    uplink    INTEGER NOT NULL,
    telemetry INTEGER NOT NULL
) WITHOUT ROWID;

INSERT INTO epoch SELECT value, 0, 0 FROM meta WHERE key = 'epoch';
DELETE FROM meta WHERE key = 'epoch';
