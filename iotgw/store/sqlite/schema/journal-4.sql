-- The latest attempts of a delivery, as JSON; empty where it wasn't tried.
ALTER TABLE parked ADD COLUMN tries TEXT NOT NULL DEFAULT '';
