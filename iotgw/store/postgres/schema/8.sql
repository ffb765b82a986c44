-- Programs of schema 6 go on.
-- Whose the names are that platforms give their devices: the first identity that came with a name has it, on whatever node.
CREATE TABLE platform_name (
    tenant   text NOT NULL,
    name     bytea NOT NULL,
    identity bytea NOT NULL,
    PRIMARY KEY (tenant, name)
);
