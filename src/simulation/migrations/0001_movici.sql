-- The simulation store, version 1. The tables metadata, numpy_array, "update", attribute_data,
-- update_attribute, initial_dataset and initial_dataset_attribute and their documented columns are a
-- public contract; columns that are ours say so. STRICT keeps a time from becoming a blob.
CREATE TABLE metadata (
    id      INTEGER PRIMARY KEY,
    version TEXT NOT NULL                   -- of movici's layout: v1
) STRICT;
INSERT INTO metadata (id, version) VALUES (1, 'v1');

CREATE TABLE numpy_array (
    id       INTEGER PRIMARY KEY,
    dtype    TEXT NOT NULL,                 -- numpy dtype string, as <f8
    shape    TEXT NOT NULL,                 -- JSON list of dimensions, as [100, 5]
    codec    TEXT,                          -- ours: how data is packed; NULL: raw bytes in C order
    checksum BLOB,                          -- ours: XXH3-128 of dtype, shape and raw bytes
    data     BLOB NOT NULL
) STRICT;

CREATE TABLE "update" (
    id           INTEGER PRIMARY KEY,
    timestamp    INTEGER NOT NULL,          -- the run's own unit
    iteration    INTEGER NOT NULL,          -- position among the updates of one timestamp
    dataset_name TEXT NOT NULL,
    origin       TEXT,                      -- the model that it came from
    UNIQUE (dataset_name, timestamp, iteration)
) STRICT;

CREATE TABLE attribute_data (
    id             INTEGER PRIMARY KEY,
    entity_group   TEXT NOT NULL,
    attribute_name TEXT NOT NULL,
    data_id        INTEGER NOT NULL REFERENCES numpy_array (id) ON DELETE CASCADE,
    indptr_id      INTEGER REFERENCES numpy_array (id) ON DELETE CASCADE,
    min_val        REAL,                    -- of the given numbers; NULL for other types
    max_val        REAL,
    mask_id        INTEGER REFERENCES numpy_array (id) ON DELETE CASCADE  -- ours: 0 given, 1 not given, 2 cleared
) STRICT;

CREATE TABLE update_attribute (
    update_id         INTEGER NOT NULL REFERENCES "update" (id) ON DELETE CASCADE,
    attribute_data_id INTEGER NOT NULL REFERENCES attribute_data (id) ON DELETE CASCADE,
    position          INTEGER NOT NULL DEFAULT 0,  -- ours: the order in which the update named them
    PRIMARY KEY (update_id, attribute_data_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE initial_dataset (
    id           INTEGER PRIMARY KEY,
    dataset_name TEXT NOT NULL UNIQUE,
    format       TEXT NOT NULL,             -- UNSTRUCTURED (JSON), BINARY, ENTITY_BASED (rows below)
    data         BLOB,
    codec        TEXT                       -- ours: how data is packed, after its length in 8 bytes; NULL: as it is
) STRICT;

CREATE TABLE initial_dataset_attribute (
    initial_dataset_id INTEGER NOT NULL REFERENCES initial_dataset (id) ON DELETE CASCADE,
    attribute_data_id  INTEGER NOT NULL REFERENCES attribute_data (id) ON DELETE CASCADE,
    position           INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (initial_dataset_id, attribute_data_id)
) STRICT, WITHOUT ROWID;

