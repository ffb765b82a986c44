-- Programs of schema 6 go on.
-- What integrations' deliveries were ordered to do: each partition does it once, in this order. The last pause or resume stays, for partitions to come.
CREATE TABLE delivery_order (
    id          bigint PRIMARY KEY,
    integration text NOT NULL,
    body        bytea NOT NULL,         -- core.orders.Order as JSON
    stays       boolean NOT NULL,
    at          timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE delivery_order_done (
    id    bigint NOT NULL REFERENCES delivery_order ON DELETE CASCADE,
    part  int NOT NULL,
    count bigint,                       -- how many deliveries it concerned; NULL: begun
    PRIMARY KEY (id, part)
);
INSERT INTO change VALUES ('orders', 0);
