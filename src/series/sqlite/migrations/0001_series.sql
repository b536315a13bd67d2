-- A series: what is known of it without its points.
CREATE TABLE series (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    key        TEXT    NOT NULL UNIQUE,
    length     INTEGER NOT NULL,           -- points
    index_type TEXT    NOT NULL,           -- i8 ... f64, text, time[ns, UTC], span[ns]
    value_type TEXT    NOT NULL,           -- these, and f16, bool, binary, bytes[16]
    least      ANY,                        -- of the index; NULL if there is none
    greatest   ANY,
    last       ANY,                        -- index of the last point; NULL if none, or NaN
    is_sorted  INTEGER NOT NULL,           -- no index value is less than the one before it
    head       TEXT    NOT NULL,           -- JSON: name, dtype, what is known of the index
    metadata   TEXT    NOT NULL            -- JSON: what the user keeps beside it
) STRICT;
-- Points of a series that follow each other. The small columns come first: to pass over a block reads no blob.
CREATE TABLE series_block (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    series_id  INTEGER NOT NULL REFERENCES series (id),
    first_row  INTEGER NOT NULL,
    rows       INTEGER NOT NULL,
    least      ANY,                        -- of its index; NULL if it is nothing but NaN
    greatest   ANY,
    compacted    INTEGER NOT NULL,           -- 1: packed at the highest compression
    index_data BLOB    NOT NULL,           -- buffers of the index, see docs/format.md
    value_data BLOB    NOT NULL,
    UNIQUE (series_id, first_row)
) STRICT;
-- JSON by name, beside the series.
CREATE TABLE series_record (
    name   TEXT NOT NULL PRIMARY KEY,
    record TEXT NOT NULL
) STRICT;
-- The documented table of metadata.
CREATE VIEW time_series_metadata AS SELECT key, metadata AS metadata_json FROM series;
