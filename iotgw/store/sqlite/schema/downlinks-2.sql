-- The name that a network gave to a downlink, as its receipts have it; most items have none.
ALTER TABLE item ADD COLUMN network TEXT NOT NULL DEFAULT '';
CREATE INDEX item_network ON item (tenant, network) WHERE network <> '';
