-- Several nodes on one database.

-- A node is a gateway with a name. It appends to the partition that is its home.
CREATE TABLE node (
    name     text PRIMARY KEY,
    part     int NOT NULL UNIQUE,
    alive_at timestamptz NOT NULL DEFAULT '-infinity',  -- older than the lease: it is dead, and others adopt its partition
    is_up    boolean NOT NULL DEFAULT false,            -- false after it has stopped in order
    drains   boolean NOT NULL DEFAULT false,            -- an operator wants it to take no more messages
    version  text NOT NULL DEFAULT '',
    figures  bytea NOT NULL DEFAULT '{}'                -- what it says of itself, as JSON
) WITH (fillfactor = 20);

-- Who owns a partition now, and which node wants it back.
ALTER TABLE partition ADD COLUMN owner text NOT NULL DEFAULT '', ADD COLUMN wanted_by text NOT NULL DEFAULT '';

-- What runs on one node at a time, such as a subscription.
CREATE TABLE lease (
    what     text PRIMARY KEY,
    node     text NOT NULL,
    alive_at timestamptz NOT NULL
) WITH (fillfactor = 20);

-- How often each of the shared tables was changed. Whoever changes one counts up in the same transaction, and writes the count into the rows: so
-- changes are committed in the order of their counts, and whoever has read up to one has missed none below it.
CREATE TABLE change (
    what  text PRIMARY KEY,
    count bigint NOT NULL
) WITH (fillfactor = 10);
INSERT INTO change VALUES ('registry', 0), ('devices', 0), ('items', 0);

ALTER TABLE resource ADD COLUMN changed bigint NOT NULL DEFAULT 0;
CREATE INDEX resource_changed ON resource (changed);
ALTER TABLE device ADD COLUMN changed bigint NOT NULL DEFAULT 0;
CREATE INDEX device_changed ON device (changed);
-- Which node wrote an item last, and which one is sending it.
ALTER TABLE item ADD COLUMN changed bigint NOT NULL DEFAULT 0, ADD COLUMN node text NOT NULL DEFAULT '',
    ADD COLUMN taken_by text NOT NULL DEFAULT '', ADD COLUMN taken_until timestamptz NOT NULL DEFAULT '-infinity';
CREATE INDEX item_changed ON item (changed);

-- A resource that is being deleted goes when its backlog is gone in every partition.
CREATE TABLE parted (
    id   text NOT NULL,
    part int NOT NULL,
    PRIMARY KEY (id, part)
);

-- What was deleted, for nodes that still know it. It is kept for a day.
CREATE TABLE gone (
    what    text NOT NULL,
    tenant  text NOT NULL,
    id      bytea NOT NULL,             -- a resource's id, a device's name
    changed bigint NOT NULL,
    at      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX gone_changed ON gone (what, changed);
CREATE INDEX gone_at ON gone (at);
