-- The kernel's own tables. siltstone_schema: the version of each store's tables in this file.
CREATE TABLE IF NOT EXISTS siltstone_schema (
    store   TEXT    NOT NULL PRIMARY KEY,  -- simulation, experiment, memory, ticks, series
    version INTEGER NOT NULL,              -- of 1, 2, ...
    needs   TEXT                           -- what a reader needs for rows in blocks; NULL: SQLite alone
) STRICT, WITHOUT ROWID;
-- Which file this is: a row that its first backup makes. A copy of the file is another one and gets its own.
CREATE TABLE IF NOT EXISTS siltstone_file (
    uuid     BLOB    NOT NULL PRIMARY KEY, -- 16 random bytes
    identity TEXT,                         -- number and birth in its file system; NULL if they are not known
    backups  INTEGER NOT NULL              -- backups that were begun
) STRICT, WITHOUT ROWID;
-- Backups that were made and verified; retention removes only what is named here and proves to be it.
CREATE TABLE IF NOT EXISTS siltstone_backup (
    number     INTEGER NOT NULL,           -- 1, 2, ... in the order in which they were begun
    folder     TEXT    NOT NULL,
    name       TEXT    NOT NULL,           -- in that folder
    created_ns INTEGER NOT NULL,           -- ns since 1970-01-01 UTC
    size_bytes INTEGER NOT NULL,
    checksum   BLOB,                       -- XXH3 of the whole file, 16 bytes; NULL if it was never taken
    PRIMARY KEY (folder, name, number)     -- two of one name only while the first is replaced
) STRICT, WITHOUT ROWID;
