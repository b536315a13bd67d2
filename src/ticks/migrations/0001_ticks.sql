-- The tick store: one file holds one UTC day.
CREATE TABLE tick_symbol (
    id     INTEGER PRIMARY KEY,
    symbol TEXT    NOT NULL UNIQUE
) STRICT;
-- Where ticks came from: what seldom changes.
CREATE TABLE tick_origin (
    id           INTEGER PRIMARY KEY,
    lp_source    TEXT    NOT NULL,
    broker_id    TEXT    NOT NULL,
    utc_offset_s INTEGER NOT NULL,      -- the offset from UTC, in s, that times were written with
    UNIQUE (lp_source, broker_id, utc_offset_s)
) STRICT;
-- Ticks that are not in a block. Of one symbol and time the smaller arrival came first.
CREATE TABLE tick_rows (
    symbol_id  INTEGER NOT NULL,        -- tick_symbol.id
    time_ns    INTEGER NOT NULL,        -- ns since 1970-01-01 UTC
    arrival    INTEGER NOT NULL,        -- 1, 2, ... in this file
    bid        REAL    NOT NULL,
    ask        REAL    NOT NULL,
    spread     REAL,                    -- NULL: ask - bid, bit for bit
    origin_id  INTEGER NOT NULL,        -- tick_origin.id
    created_ms INTEGER NOT NULL,        -- ms since 1970-01-01 UTC, when it was written
    zeros      INTEGER,                 -- -0.0, which SQLite stores as 0: 1 bid, 2 ask, 4 spread
    PRIMARY KEY (symbol_id, time_ns, arrival)
) STRICT, WITHOUT ROWID;
-- Compacted ticks of one symbol, rising in time. Blocks of one symbol do not overlap.
CREATE TABLE tick_block (
    id        INTEGER PRIMARY KEY,
    symbol_id INTEGER NOT NULL,         -- tick_symbol.id
    first_ns  INTEGER NOT NULL,
    last_ns   INTEGER NOT NULL,
    rows      INTEGER NOT NULL,
    min_bid   REAL    NOT NULL,
    max_bid   REAL    NOT NULL,
    kept      TEXT    NOT NULL,         -- the third column: ask, spread, or both for two columns
    checksum  BLOB    NOT NULL,         -- XXH3-128 of the block, as at its end
    data      BLOB    NOT NULL          -- a column block: time_ns, bid, ask or spread, origin
) STRICT;
CREATE INDEX tick_block_by_time ON tick_block (symbol_id, last_ns, first_ns);
-- Up to which of its ticks a writer has committed here, so that nothing is read or written twice.
CREATE TABLE tick_watermark (
    writer  INTEGER NOT NULL PRIMARY KEY,
    ordinal INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- next_arrival: of tick_rows. ticks: how many there are, rows and in blocks.
CREATE TABLE tick_counter (
    name  TEXT    NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO tick_counter VALUES ('next_arrival', 1), ('ticks', 0);
-- What was imported, under the RTX engine's names; digest is ours.
CREATE TABLE migration_log (
    id             INTEGER PRIMARY KEY,
    source_file    TEXT    NOT NULL,
    target_db      TEXT    NOT NULL,
    ticks_migrated INTEGER NOT NULL,
    migration_time INTEGER NOT NULL,    -- ms since 1970-01-01 UTC
    digest         BLOB    NOT NULL,    -- XXH3-128 of the file's bytes
    UNIQUE (source_file, digest)
) STRICT;
-- The RTX engine's table. Compacted ticks are not in it for a program that cannot unpack blocks.
CREATE VIEW ticks AS
SELECT h.arrival                          AS id,
       s.symbol                           AS symbol,
       (h.time_ns - (h.time_ns % 1000000 + 1000000) % 1000000) / 1000000 AS timestamp,
       h.bid                              AS bid,
       h.ask                              AS ask,
       coalesce(h.spread, h.ask - h.bid)  AS spread,
       o.lp_source                        AS lp_source,
       h.created_ms                       AS created_at,
       h.time_ns                          AS time_ns,
       o.broker_id                        AS broker_id,
       h.arrival                          AS arrival
FROM tick_rows h
JOIN tick_symbol s ON s.id = h.symbol_id
JOIN tick_origin o ON o.id = h.origin_id;
-- The RTX engine's way to add a tick. What the store would refuse is refused.
CREATE TRIGGER ticks_insert INSTEAD OF INSERT ON ticks BEGIN
    SELECT RAISE(ABORT, 'symbol: expected 1 to 64 letters, digits and ._-/#&+=@^$:!~, no part of which begins with a dot')
    WHERE NEW.symbol IS NULL
       OR length(CAST(NEW.symbol AS BLOB)) NOT BETWEEN 1 AND 64
       OR instr(CAST(NEW.symbol AS BLOB), x'00') > 0
       OR NEW.symbol GLOB '*[^A-Za-z0-9._/#&+=@^$:!~-]*'
       OR '/' || NEW.symbol || '/' GLOB '*//*'
       OR '/' || NEW.symbol GLOB '*/.*';
    SELECT RAISE(ABORT, 'timestamp: expected a whole number of ms since 1970-01-01 UTC, from 1677 to 2262')
    WHERE NEW.time_ns IS NULL
      AND (NEW.timestamp IS NULL
           OR CAST(NEW.timestamp AS INTEGER) <> CAST(NEW.timestamp AS NUMERIC)
           OR CAST(NEW.timestamp AS INTEGER) NOT BETWEEN -9223372036854 AND 9223372036854);
    SELECT RAISE(ABORT, 'bid, ask, spread: expected finite numbers')
    WHERE NEW.bid IS NULL OR NEW.ask IS NULL
       OR abs(NEW.bid) > 1.7976931348623157e308 OR abs(NEW.ask) > 1.7976931348623157e308
       OR abs(coalesce(NEW.spread, NEW.ask - NEW.bid)) > 1.7976931348623157e308;
    SELECT RAISE(ABORT, 'lp_source, broker_id: expected at most 64 bytes')
    WHERE length(CAST(coalesce(NEW.lp_source, '') AS BLOB)) > 64
       OR length(CAST(coalesce(NEW.broker_id, '') AS BLOB)) > 64;
    INSERT OR IGNORE INTO tick_symbol (symbol) VALUES (NEW.symbol);
    INSERT OR IGNORE INTO tick_origin (lp_source, broker_id, utc_offset_s)
    VALUES (coalesce(NEW.lp_source, ''), coalesce(NEW.broker_id, ''), 0);
    INSERT INTO tick_rows
        (symbol_id, time_ns, arrival, bid, ask, spread, origin_id, created_ms)
    SELECT s.id, coalesce(NEW.time_ns, CAST(NEW.timestamp AS INTEGER) * 1000000), c.value, NEW.bid, NEW.ask,
           nullif(NEW.spread, NEW.ask - NEW.bid), o.id,
           coalesce(NEW.created_at, CAST(strftime('%s', 'now') AS INTEGER) * 1000)
    FROM tick_symbol s, tick_origin o, tick_counter c
    WHERE s.symbol = NEW.symbol AND o.lp_source = coalesce(NEW.lp_source, '')
      AND o.broker_id = coalesce(NEW.broker_id, '') AND o.utc_offset_s = 0
      AND c.name = 'next_arrival';
    UPDATE tick_counter SET value = value + 1 WHERE name IN ('next_arrival', 'ticks');
END;
