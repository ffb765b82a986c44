-- The journal, the registry and downlinks.
--
-- A partition is what one writer appends to: positions (seq) only grow in it, and none is used twice. Tenants, datasources, converters and
-- integrations are numbers of the table `name`, by partition. Times are milliseconds since 1970 UTC. Texts that come from devices are
-- bytea: text has no NUL.

CREATE TABLE partition (
    id          int PRIMARY KEY,
    owner_epoch bigint NOT NULL DEFAULT 0,     -- goes up with each owner; a commit of an earlier one matches no row
    alive_at    timestamptz NOT NULL DEFAULT '-infinity',
    group_no    bigint NOT NULL DEFAULT 0,     -- how many groups were committed: tells whether one in doubt was
    uplink      bigint NOT NULL DEFAULT 0,     -- the highest position of each stream
    telemetry   bigint NOT NULL DEFAULT 0,
    bytes       bigint NOT NULL DEFAULT 0      -- about what its rows take
) WITH (fillfactor = 10);

CREATE TABLE fact (
    key   text PRIMARY KEY,
    value bytea NOT NULL
);

CREATE TABLE name (
    part int NOT NULL,
    id   int NOT NULL,
    text bytea NOT NULL,
    PRIMARY KEY (part, id)
);

CREATE TABLE uplink (
    part        int NOT NULL,
    seq         bigint NOT NULL,
    tenant      int NOT NULL,
    datasource  int NOT NULL,
    received_ms bigint NOT NULL,
    metadata    bytea NOT NULL,         -- JSON
    payload     bytea NOT NULL,
    PRIMARY KEY (part, seq)
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_insert_scale_factor = 0.1);
CREATE INDEX uplink_of_datasource ON uplink (part, datasource, seq);

CREATE TABLE outcome (
    part      int NOT NULL,
    seq       bigint NOT NULL,          -- the uplink's
    state     int NOT NULL,             -- model.State
    converter int NOT NULL,
    telemetry bigint NOT NULL,          -- first telemetry record of this conversion; older ones were replaced
    error     bytea,                    -- model.ConversionError as JSON
    PRIMARY KEY (part, seq)
) WITH (autovacuum_vacuum_scale_factor = 0.01);
CREATE INDEX outcome_unconverted ON outcome (part, state, seq) WHERE state <> 1;
-- Outcomes with an error that are no failures: messages of devices in quarantine.
CREATE INDEX outcome_held ON outcome (part, seq) WHERE error IS NOT NULL AND state <> 3;

CREATE TABLE telemetry (
    part        int NOT NULL,
    seq         bigint NOT NULL,
    uplink      bigint NOT NULL,        -- 0 for an event
    tenant      int NOT NULL,
    datasource  int NOT NULL,
    received_ms bigint NOT NULL,
    kind        int NOT NULL,           -- model.Kind
    device_name bytea NOT NULL,
    device_type bytea NOT NULL,
    body        bytea NOT NULL,         -- JSON
    PRIMARY KEY (part, seq)
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_insert_scale_factor = 0.1);
CREATE INDEX telemetry_of_uplink ON telemetry (part, uplink, device_name) WHERE uplink <> 0;

CREATE TABLE conversion (
    part       int NOT NULL,
    datasource int NOT NULL,
    cursor     bigint NOT NULL,
    PRIMARY KEY (part, datasource)
) WITH (fillfactor = 20);

-- How many uplinks of a datasource are in each state; state 0 counts all that were received.
CREATE TABLE tally (
    part       int NOT NULL,
    datasource int NOT NULL,
    state      int NOT NULL,
    count      bigint NOT NULL,
    PRIMARY KEY (part, datasource, state)
) WITH (fillfactor = 20);

CREATE TABLE integration (
    part     int NOT NULL,
    id       int NOT NULL,
    cursor   bigint NOT NULL,
    counters bytea NOT NULL,            -- model.Counters as JSON
    PRIMARY KEY (part, id)
) WITH (fillfactor = 20);

CREATE TABLE parked (
    part        int NOT NULL,
    integration int NOT NULL,
    seq         bigint NOT NULL,
    state       int NOT NULL,           -- model.DeliveryState
    attempts    int NOT NULL,
    next_try_ms bigint NOT NULL,
    error       bytea NOT NULL,
    uplink      bigint NOT NULL,
    tenant      int NOT NULL,
    datasource  int NOT NULL,
    received_ms bigint NOT NULL,
    kind        int NOT NULL,
    device_name bytea NOT NULL,
    device_type bytea NOT NULL,
    body        bytea NOT NULL,
    PRIMARY KEY (part, integration, seq)
);
CREATE INDEX parked_of_device ON parked (part, integration, device_name, seq);

-- What was received at or after a time stands after these positions.
CREATE TABLE mark (
    part      int NOT NULL,
    at_ms     bigint NOT NULL,
    uplink    bigint NOT NULL,
    telemetry bigint NOT NULL,
    PRIMARY KEY (part, at_ms)
);

-- Each start that stores something opens an epoch, by which positions after these two are named.
CREATE TABLE epoch (
    part      int NOT NULL,
    name      text NOT NULL,
    uplink    bigint NOT NULL,
    telemetry bigint NOT NULL,
    PRIMARY KEY (part, name)
);

-- What users save. A resource that is being deleted has its `Deletion` as JSON.
CREATE TABLE resource (
    id         text PRIMARY KEY,
    kind       text NOT NULL,
    tenant     text NOT NULL,
    name       text NOT NULL,
    revision   bigint NOT NULL,
    created_ms bigint NOT NULL,
    updated_ms bigint NOT NULL,
    body       bytea NOT NULL,          -- JSON, secrets sealed
    deletion   bytea,
    UNIQUE (kind, tenant, name)
);

-- Devices as operators know them: `DeviceSpec` as JSON, without the name.
CREATE TABLE device (
    tenant     text NOT NULL,
    name       bytea NOT NULL,
    revision   bigint NOT NULL,
    created_ms bigint NOT NULL,
    updated_ms bigint NOT NULL,
    body       bytea NOT NULL,
    PRIMARY KEY (tenant, name)
);

-- Downlink items, open and over. `body` is the whole item as JSON; the columns are what is searched for.
CREATE TABLE item (
    id         text PRIMARY KEY,
    seq        bigint NOT NULL,
    tenant     text NOT NULL,
    device     bytea NOT NULL,
    state      text NOT NULL,
    updated_ms bigint NOT NULL,
    expires_ms bigint NOT NULL,
    body       bytea NOT NULL,
    network    bytea NOT NULL,
    job        text NOT NULL
);
CREATE INDEX item_device ON item (tenant, device, seq);
CREATE INDEX item_state ON item (state, updated_ms);
CREATE INDEX item_network ON item (tenant, network) WHERE network <> '';
CREATE INDEX item_job ON item (tenant, job, seq, state) WHERE job <> '';
