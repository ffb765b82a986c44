-- The latest attempts of a delivery, as JSON; empty where it wasn't tried.
ALTER TABLE parked ADD COLUMN tries bytea NOT NULL DEFAULT '';
-- Lists of all devices' downlinks, by state.
CREATE INDEX item_of_tenant ON item (tenant, state, seq);
