-- What is wrong with a device, and since when: it is silent, its battery is low, its signal weak.
CREATE TABLE trouble (
    tenant   TEXT NOT NULL,
    name     TEXT NOT NULL,
    what     TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    PRIMARY KEY (tenant, name, what)
) WITHOUT ROWID;
