-- How many messages of a device failed to be converted.
ALTER TABLE device_day ADD COLUMN errors INTEGER NOT NULL DEFAULT 0;
