-- A series: what is known of it without its points. Text columns hold U+0001 0 for NUL and U+0001 1 for U+0001.
CREATE TABLE siltstone_series (
    id         bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest     bytea   NOT NULL UNIQUE,        -- SHA-256 of the key
    key        text    COLLATE "C" NOT NULL,
    length     bigint  NOT NULL,               -- points
    index_type text    NOT NULL,               -- i8 ... f64, text, time[ns, UTC], span[ns]
    value_type text    NOT NULL,               -- these, and f16, bool, binary, bytes[16]
    extent     text    NOT NULL,               -- JSON: least, greatest and last value of the index
    is_sorted  boolean NOT NULL,
    head       text    NOT NULL,               -- JSON: name, dtype, what is known of the index
    metadata   text    NOT NULL                -- JSON: what the user keeps beside it
);
CREATE INDEX siltstone_series_key ON siltstone_series USING hash (key);
CREATE INDEX siltstone_series_prefix ON siltstone_series (left(key, 512));
-- A point: its row in the series, and one column of the index and of the values.
CREATE TABLE siltstone_point (
    series_id   bigint NOT NULL,
    row         bigint NOT NULL,
    index_int   bigint,                        -- times and spans count their unit
    index_float double precision,
    index_text  text   COLLATE "C",
    value_int   bigint,                        -- u64: its 64 bits
    value_float double precision,
    value_real  real,                          -- f32, f16
    value_bool  boolean,
    value_text  text,
    value_bytes bytea,
    PRIMARY KEY (series_id, row)
);
-- JSON by name, beside the series.
CREATE TABLE siltstone_record (
    digest bytea PRIMARY KEY,                  -- SHA-256 of the name
    name   text  COLLATE "C" NOT NULL,
    record text  NOT NULL
);
-- A time as text: of UTC, with the digits behind the second that its unit has. Outside of the years 1 to 9999: its count.
CREATE FUNCTION siltstone_time(count bigint, type text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN second BETWEEN -62135596800 AND 253402300799
        THEN to_char(timestamp 'epoch' + second * interval '1 second', 'YYYY-MM-DD HH24:MI:SS')
            || CASE WHEN rest = 0 THEN ''
               WHEN rest * 1000000 % scale = 0 THEN '.' || lpad((rest * 1000000 / scale)::text, 6, '0')
               ELSE '.' || lpad((rest * 1000000000 / scale)::text, 9, '0') END
            || CASE WHEN type LIKE '%,%' THEN '+00:00' ELSE '' END
        ELSE count::text END
    FROM (SELECT scale, floor(count::numeric / scale)::bigint AS second,
                 count - floor(count::numeric / scale)::bigint * scale AS rest
          FROM (SELECT CASE substring(type FROM '\[([a-z]+)') WHEN 's' THEN 1 WHEN 'ms' THEN 1000
                       WHEN 'us' THEN 1000000 ELSE 1000000000 END::bigint AS scale) unit) parts
$$;
