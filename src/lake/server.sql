-- What files published, in the schema siltstone_ledger; the rows are in the schema siltstone.
CREATE SCHEMA IF NOT EXISTS siltstone;
CREATE SCHEMA IF NOT EXISTS siltstone_ledger;
CREATE TABLE siltstone_ledger.version (version integer NOT NULL);
INSERT INTO siltstone_ledger.version VALUES (1);
CREATE TABLE siltstone_ledger.published (
    store_id  text   NOT NULL,              -- the file, as it names itself
    name      text   NOT NULL,              -- of the table
    commits   bigint NOT NULL,              -- how many transactions of this file wrote to it
    plan      text   NOT NULL,              -- what the last one was called
    time      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (store_id, name)
);
CREATE TABLE siltstone_ledger.segment (
    segment   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    store_id  text   NOT NULL,
    name      text   NOT NULL,
    number    bigint NOT NULL,              -- of the file
    version   bigint NOT NULL,
    partition text   NOT NULL,              -- JSON list
    first     bigint NOT NULL,              -- of its key
    until     bigint NOT NULL,
    rows      bigint NOT NULL,
    hash      text   NOT NULL,              -- of its rows, see docs/lake.md
    UNIQUE (store_id, name, number)
);
