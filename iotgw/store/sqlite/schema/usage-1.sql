-- What was used, by hour and by day. `at` counts hours and days since 1970. A thing is a datasource, an integration or a converter.
CREATE TABLE thing (
  number INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,
  tenant TEXT NOT NULL,
  id TEXT NOT NULL,
  name TEXT NOT NULL,
  UNIQUE (kind, tenant, id)
);
CREATE TABLE hour (
  at INTEGER NOT NULL,
  thing INTEGER NOT NULL,
  messages INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  errors INTEGER NOT NULL,
  refused INTEGER NOT NULL,
  deliveries INTEGER NOT NULL,
  cpu REAL NOT NULL,
  PRIMARY KEY (at, thing)
) WITHOUT ROWID;
CREATE TABLE day (
  at INTEGER NOT NULL,
  thing INTEGER NOT NULL,
  messages INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  errors INTEGER NOT NULL,
  refused INTEGER NOT NULL,
  deliveries INTEGER NOT NULL,
  cpu REAL NOT NULL,
  PRIMARY KEY (at, thing)
) WITHOUT ROWID;
CREATE TABLE device (
  number INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL,
  name TEXT NOT NULL,
  UNIQUE (tenant, name)
);
CREATE TABLE device_day (
  at INTEGER NOT NULL,
  device INTEGER NOT NULL,
  messages INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  PRIMARY KEY (at, device)
) WITHOUT ROWID;
