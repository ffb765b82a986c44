-- What datasources keep over restarts. `owner` is a datasource's id.
CREATE TABLE row (
  owner TEXT NOT NULL,
  key TEXT NOT NULL,
  value BLOB NOT NULL,
  PRIMARY KEY (owner, key)
) WITHOUT ROWID;
