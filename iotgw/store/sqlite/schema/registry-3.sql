-- Devices as operators know them. There may be 100,000, so they are rows of their own and not resources: what is searched
-- for is in memory. `body` is `iotgw.core.device_entry.DeviceSpec` as JSON, without the name.
CREATE TABLE device (
    tenant     TEXT NOT NULL,
    name       TEXT NOT NULL,
    revision   INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    body       BLOB NOT NULL,
    PRIMARY KEY (tenant, name)
) WITHOUT ROWID;
