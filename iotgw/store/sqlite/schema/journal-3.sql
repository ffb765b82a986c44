-- Outcomes with an error that are no failures: messages of devices in quarantine, which wait until somebody releases them.
CREATE INDEX outcome_held ON outcome (seq) WHERE error IS NOT NULL AND state <> 3;
