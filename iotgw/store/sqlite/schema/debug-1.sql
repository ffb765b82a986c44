-- What was kept of single messages: a ring. `body` is JSON.
CREATE TABLE entry (
  id INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL,
  message TEXT NOT NULL,
  body BLOB NOT NULL
);
CREATE INDEX entry_message ON entry (message);
