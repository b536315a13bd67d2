-- Ours: what was said about the run, and what can be computed again. Version 1; with 0001_movici.sql
-- in a new file, with upgrade.sql in a file of movici.
CREATE TABLE simulation_run (
    key   TEXT NOT NULL PRIMARY KEY,        -- status, started_ns, finished_ns, error, timeline, schema
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO simulation_run (key, value) VALUES ('keyframe_epoch', 0);

CREATE TABLE array_block (                  -- arrays of one dtype, one after another, packed together
    id       INTEGER PRIMARY KEY,
    dtype    TEXT NOT NULL,                 -- the columns as in numpy_array
    shape    TEXT NOT NULL,
    codec    TEXT,
    checksum BLOB NOT NULL,
    data     BLOB NOT NULL
) STRICT;

CREATE TABLE simulation_keyframe (
    id           INTEGER PRIMARY KEY,
    dataset_name TEXT NOT NULL,
    entity_group TEXT NOT NULL,
    timestamp    INTEGER NOT NULL,          -- the state after this update
    iteration    INTEGER NOT NULL,
    same_as      INTEGER,                   -- the earlier keyframe (id) that it equals; then the rest is NULL
    columns      TEXT,                      -- JSON list of the attributes' names
    state        BLOB,                      -- packed arrays, see docs/format.md: ids, then each column
    UNIQUE (dataset_name, entity_group, timestamp, iteration)
) STRICT;

-- A keyframe holds only as long as nothing before it changes, whoever changes it.
CREATE TRIGGER simulation_update_added AFTER INSERT ON "update" BEGIN
    DELETE FROM simulation_keyframe WHERE dataset_name = new.dataset_name
        AND (timestamp > new.timestamp OR timestamp = new.timestamp AND iteration >= new.iteration);
END;
CREATE TRIGGER simulation_update_removed AFTER DELETE ON "update" BEGIN
    DELETE FROM simulation_keyframe WHERE dataset_name = old.dataset_name
        AND (timestamp > old.timestamp OR timestamp = old.timestamp AND iteration >= old.iteration);
    UPDATE simulation_run SET value = value + 1 WHERE key = 'keyframe_epoch';
END;
CREATE TRIGGER simulation_update_changed AFTER UPDATE ON "update" BEGIN
    DELETE FROM simulation_keyframe WHERE dataset_name IN (old.dataset_name, new.dataset_name);
    UPDATE simulation_run SET value = value + 1 WHERE key = 'keyframe_epoch';
END;
