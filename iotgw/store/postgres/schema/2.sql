-- What all nodes share beside the registry: what datasources keep, devices' states, events, usage. A node is a text, empty for the only one.

-- What datasources keep over restarts. `owner` is a datasource's id.
CREATE TABLE kept (
    owner text NOT NULL,
    key   bytea NOT NULL,
    value bytea NOT NULL,
    PRIMARY KEY (owner, key)
);

-- The last state of each device. A node writes what it heard; it replaces a row only if it has the version that it knows, and merges else.
CREATE TABLE device_state (
    tenant     text NOT NULL,
    name       bytea NOT NULL,
    folded     text NOT NULL,                   -- the name in lower case, for searches
    version    bigint NOT NULL DEFAULT 0,       -- goes up with each change; 0 until the first state is there
    type       bytea NOT NULL DEFAULT '',
    datasource bytea NOT NULL DEFAULT '',       -- the last one it was heard through
    first_ms   bigint NOT NULL DEFAULT 0,
    last_ms    bigint NOT NULL DEFAULT 0,
    attributes bytea NOT NULL DEFAULT '{}',     -- JSON: {key: value}
    telemetry  bytea NOT NULL DEFAULT '{}',     -- JSON: {key: value}, the newest of each key
    times      bytea NOT NULL DEFAULT '{}',     -- JSON: {key: ts}
    latest_ms  bigint,                          -- when the latest record came, if that says all that the one before it said
    latest     bytea,                           -- JSON: what the converter made of it, over what the columns hold
    PRIMARY KEY (tenant, name)
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05);

-- Which datasource a device belongs to.
CREATE TABLE device_owner (
    tenant     text NOT NULL,
    name       bytea NOT NULL,
    datasource bytea NOT NULL,
    proved     boolean NOT NULL,    -- whether the device has proved itself
    PRIMARY KEY (tenant, name)
);

-- What is wrong with a device, and since when.
CREATE TABLE device_trouble (
    tenant   text NOT NULL,
    name     bytea NOT NULL,
    what     text NOT NULL,
    since_ms bigint NOT NULL,
    PRIMARY KEY (tenant, name, what)
);

-- Up to which position of a partition's telemetry the records are taken in.
CREATE TABLE device_position (
    part     int PRIMARY KEY,
    position bigint NOT NULL
);

-- Events: each node writes its own, and keeps so many of them. `no` counts a node's events, so that none is written twice.
CREATE TABLE event (
    id     bigserial PRIMARY KEY,
    node   text NOT NULL,
    no     bigint NOT NULL,
    ts     bigint NOT NULL,
    tenant text NOT NULL,
    source text NOT NULL,
    name   bytea NOT NULL,
    type   text NOT NULL,
    body   bytea NOT NULL,          -- model.Event as MessagePack
    UNIQUE (node, no)
);
CREATE INDEX event_by_name ON event (source, name, id);
CREATE INDEX event_by_type ON event (type, id);
CREATE INDEX event_by_tenant ON event (tenant, id);

-- What was used, by hour, by day and by node; `at` counts hours and days since 1970. A thing is a datasource, an integration or a converter.
CREATE TABLE usage_thing (
    kind   text NOT NULL,
    tenant text NOT NULL,
    id     text NOT NULL,
    name   text NOT NULL,
    PRIMARY KEY (kind, tenant, id)
);
CREATE TABLE usage_hour (
    at         bigint NOT NULL,
    kind       text NOT NULL,
    tenant     text NOT NULL,
    id         text NOT NULL,
    node       text NOT NULL,
    messages   bigint NOT NULL,
    bytes      bigint NOT NULL,
    errors     bigint NOT NULL,
    refused    bigint NOT NULL,
    deliveries bigint NOT NULL,
    cpu        double precision NOT NULL,
    PRIMARY KEY (at, kind, tenant, id, node)
) WITH (fillfactor = 60);
CREATE TABLE usage_day (LIKE usage_hour INCLUDING ALL) WITH (fillfactor = 60);
CREATE TABLE usage_device (
    at       bigint NOT NULL,       -- days
    tenant   text NOT NULL,
    name     bytea NOT NULL,        -- empty for devices beyond those that can be counted one by one
    node     text NOT NULL,
    messages bigint NOT NULL,
    bytes    bigint NOT NULL,
    errors   bigint NOT NULL,       -- failed conversions
    PRIMARY KEY (at, tenant, name, node)
) WITH (fillfactor = 60);

-- How often a node has added to the usage: what it can't tell whether it was added, it adds again under the same number.
CREATE TABLE usage_batch (
    node text PRIMARY KEY,
    no   bigint NOT NULL
);
