-- Programs of schema 6 go on.
-- An integration of which one node delivers all partitions' messages: a partition's owner lends it what is to be delivered of it, and until the
-- owner takes it back, who has the number of the loan writes how far it has come.
CREATE SEQUENCE loan;
ALTER TABLE integration ADD COLUMN loan bigint NOT NULL DEFAULT 0;  -- 0: the partition's owner writes
