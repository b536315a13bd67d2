-- What this file has published. A copy of the file has the same store_id, and is told by its older commits.
CREATE TABLE publish_store (
    store_id TEXT NOT NULL                  -- a UUID
) STRICT;
CREATE TABLE publish_table (
    target    TEXT    NOT NULL,             -- the address, without a secret
    name      TEXT    NOT NULL,
    commits   INTEGER NOT NULL,             -- how many of this store the table's log has: the version of its last txn
    pending   TEXT,                         -- JSON: the next one, of which it is not known whether the log has it
    PRIMARY KEY (target, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE publish_segment (
    target    TEXT    NOT NULL,
    name      TEXT    NOT NULL,             -- of the table
    number    INTEGER NOT NULL,
    version   INTEGER NOT NULL,             -- 1, 2, ...: its rows were others
    state     TEXT    NOT NULL CHECK (state IN ('made', 'sent', 'confirmed')),
    partition TEXT    NOT NULL,             -- JSON list
    first     INTEGER NOT NULL,             -- of its key
    until     INTEGER NOT NULL,
    signature BLOB    NOT NULL,             -- of the file's rows and blocks, by which a change is seen
    rows      INTEGER NOT NULL,
    hash      TEXT    NOT NULL,             -- of the rows, see docs/lake.md
    file      TEXT    NOT NULL,             -- below the table's folder
    bytes     INTEGER NOT NULL,
    statistics TEXT   NOT NULL,             -- JSON, as in the log
    PRIMARY KEY (target, name, number, version)
) STRICT, WITHOUT ROWID;
