-- A period as text; NULL for one of weeks, of business days, of parts of a second, or outside of the years 1 to 9999.
CREATE FUNCTION siltstone_period(number bigint, dtype text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN unit IN ('Y', 'A', 'YE') AND number BETWEEN -1969 AND 8029 THEN lpad((1970 + number)::text, 4, '0')
        WHEN unit IN ('Q', 'QE') AND number BETWEEN -7876 AND 32119
            THEN lpad(floor(1970 + number / 4.0)::text, 4, '0') || 'Q' || (number + 8000) % 4 + 1
        WHEN unit IN ('M', 'ME') AND number BETWEEN -23628 AND 96359
            THEN to_char(timestamp 'epoch' + number * interval '1 month', 'YYYY-MM')
        WHEN number * scale BETWEEN -62135596800 AND 253402300799
            THEN to_char(timestamp 'epoch' + (number * scale)::bigint * interval '1 second', form) END
    FROM (SELECT substring(dtype FROM '^period\[\d*([A-Za-z]+)') unit) asked
    LEFT JOIN (VALUES ('D', 86400::numeric, 'YYYY-MM-DD'), ('h', 3600, 'YYYY-MM-DD HH24:MI'),
        ('H', 3600, 'YYYY-MM-DD HH24:MI'), ('min', 60, 'YYYY-MM-DD HH24:MI'), ('T', 60, 'YYYY-MM-DD HH24:MI'),
        ('s', 1, 'YYYY-MM-DD HH24:MI:SS'), ('S', 1, 'YYYY-MM-DD HH24:MI:SS')) known (name, scale, form) ON name = unit
$$;
-- The category of a code; NULL if there is none.
CREATE FUNCTION siltstone_category(code bigint, categories json) RETURNS json LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN code BETWEEN 0 AND 2147483647 THEN categories -> code::integer END
$$;
-- The categories of the values of a series; NULL if they are no categories.
CREATE FUNCTION siltstone_categories(head text) RETURNS json LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN head LIKE '%"dtype":"category:%' AND head::json ->> 'dtype' LIKE 'category:%'
        THEN substr(head::json ->> 'dtype', 10)::json -> 'categories' END
$$;
-- The documented tables.
CREATE VIEW time_series_data AS
    SELECT s.key,
           CASE WHEN s.index_type LIKE 'time%' THEN siltstone_time(p.index_int, s.index_type)
                WHEN s.head LIKE '%"type":"PeriodIndex"%'
                THEN coalesce(siltstone_period(p.index_int, s.head::json #>> '{index,dtype}'), p.index_int::text)
                WHEN s.head LIKE '%"type":"CategoricalIndex"%'
                THEN siltstone_category(p.index_int, s.head::json #> '{index,categories}') #>> '{}'
                ELSE coalesce(p.index_text, p.index_float::text, p.index_int::text) END AS index_value,
           CASE WHEN c.categories IS NOT NULL
                THEN CASE WHEN json_typeof(siltstone_category(p.value_int, c.categories)) = 'number'
                     THEN (siltstone_category(p.value_int, c.categories) #>> '{}')::double precision END
                WHEN s.value_type = 'u64' AND p.value_int < 0
                THEN (p.value_int + 18446744073709551616::numeric)::double precision
                ELSE coalesce(p.value_float, p.value_real, p.value_int, p.value_bool::int) END AS value,
           p.row, p.index_int, p.index_float, p.index_text,
           p.value_int, p.value_bool,
           coalesce(p.value_text, siltstone_category(p.value_int, c.categories) #>> '{}') AS value_text, p.value_bytes
    FROM siltstone_series s CROSS JOIN LATERAL (SELECT siltstone_categories(s.head) AS categories) c
    JOIN siltstone_point p ON p.series_id = s.id;
CREATE VIEW time_series_metadata AS
    SELECT key, metadata AS metadata_json, head AS head_json, length, index_type, value_type FROM siltstone_series;
