-- The job that queued a downlink for one of several devices; most items have none.
ALTER TABLE item ADD COLUMN job TEXT NOT NULL DEFAULT '';
CREATE INDEX item_job ON item (tenant, job, seq, state) WHERE job <> '';
