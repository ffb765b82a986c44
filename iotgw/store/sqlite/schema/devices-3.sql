-- Which datasource a device belongs to: the one that introduced it. Devices of earlier versions belong to the one that
-- they were last heard through.

CREATE TABLE owner (
    tenant     TEXT NOT NULL,
    name       TEXT NOT NULL,
    datasource TEXT NOT NULL,
    proved     INTEGER NOT NULL,    -- whether the device has proved itself
    PRIMARY KEY (tenant, name)
) WITHOUT ROWID;

INSERT INTO owner SELECT tenant, name, datasource, 0 FROM device;

-- Up to which position of the telemetry stream the records are taken in; no row says that nobody knows.
CREATE TABLE seen (
    id       INTEGER PRIMARY KEY,
    position INTEGER NOT NULL
);

INSERT INTO seen SELECT 0, 0 WHERE NOT EXISTS (SELECT 1 FROM device);
