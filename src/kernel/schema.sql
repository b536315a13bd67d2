-- The kernel's own tables. siltstone_schema: the version of each store's tables in this file.
CREATE TABLE IF NOT EXISTS siltstone_schema (
    store   TEXT    NOT NULL PRIMARY KEY,  -- simulation, experiment, memory, ticks, series
    version INTEGER NOT NULL               -- of 1, 2, ...
) STRICT, WITHOUT ROWID;
-- Backups that were made and verified; retention removes only what is named here.
CREATE TABLE IF NOT EXISTS siltstone_backup (
    path       TEXT    NOT NULL PRIMARY KEY,
    created_ns INTEGER NOT NULL,           -- ns since 1970-01-01 UTC
    size_bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
