-- Whose the names are that platforms give their devices: the first identity that came with a name has it. `identity` is a DevEUI in lower
-- case, or what else the platform tells its devices apart by.
CREATE TABLE platform_name (
    tenant   TEXT NOT NULL,
    name     TEXT NOT NULL,
    identity TEXT NOT NULL,
    PRIMARY KEY (tenant, name)
) WITHOUT ROWID;
