-- What scripts keep of their devices between messages. It was in `resource`, a row and a transaction each; here what many messages change is
-- written together. A state that was dropped is empty, until it is too old.
CREATE TABLE converter_state (
    tenant  text NOT NULL,
    name    bytea NOT NULL,         -- converter and device, with a slash between them
    at_ms   bigint NOT NULL,        -- when it was written last
    body    bytea NOT NULL,         -- JSON
    changed bigint NOT NULL,        -- see `change`
    PRIMARY KEY (tenant, name)
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX converter_state_changed ON converter_state (changed);
INSERT INTO change VALUES ('states', 0);

INSERT INTO converter_state SELECT tenant, convert_to(name, 'UTF8'), updated_ms, body, 0 FROM resource WHERE kind = 'converterState';
DELETE FROM resource WHERE kind = 'converterState';
