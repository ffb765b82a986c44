-- Lists of all devices' items, by state.
CREATE INDEX item_of_tenant ON item (tenant, state, seq);
