-- Programs of schema 6 go on.
-- What debugging keeps of single messages, which any node shows. Each node writes its own, numbered, and removes the oldest of these only.
CREATE TABLE debug_entry (
    node    text   NOT NULL,
    no      bigint NOT NULL,
    tenant  text   NOT NULL,
    message text   NOT NULL,
    body    bytea  NOT NULL,
    PRIMARY KEY (node, no)
);
CREATE INDEX debug_entry_message ON debug_entry (message);
