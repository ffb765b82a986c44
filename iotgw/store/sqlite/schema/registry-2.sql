-- A resource that is being deleted stays until its backlog is gone: `iotgw.core.specs.Deletion` as JSON, or NULL.
ALTER TABLE resource ADD COLUMN deletion BLOB;
