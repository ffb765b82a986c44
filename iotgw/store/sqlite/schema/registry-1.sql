-- What users save.

CREATE TABLE resource (
    id         TEXT PRIMARY KEY,
    kind       TEXT NOT NULL,
    tenant     TEXT NOT NULL,
    name       TEXT NOT NULL,
    revision   INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    body       BLOB NOT NULL,           -- JSON, secrets sealed
    UNIQUE (kind, tenant, name)
) WITHOUT ROWID;
