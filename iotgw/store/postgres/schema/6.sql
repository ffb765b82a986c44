-- What each partition has to forget of tenants that were deleted, and whether it has. The rows stay: what was spilled before comes later.
CREATE TABLE erasure (
    tenant text NOT NULL,
    part   int NOT NULL,
    done   boolean NOT NULL,
    PRIMARY KEY (tenant, part)
);
