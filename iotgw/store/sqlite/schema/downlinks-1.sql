-- Downlink items, open and over. `body` is the whole item as JSON; the columns are what is searched for.
CREATE TABLE item (
  id TEXT PRIMARY KEY,
  seq INTEGER NOT NULL,
  tenant TEXT NOT NULL,
  device TEXT NOT NULL,
  state TEXT NOT NULL,
  updated_ms INTEGER NOT NULL,
  body BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX item_device ON item (tenant, device, seq);
CREATE INDEX item_state ON item (state, updated_ms);
