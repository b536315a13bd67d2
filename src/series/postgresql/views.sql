-- The documented tables.
CREATE VIEW time_series_data AS
    SELECT s.key,
           CASE WHEN s.index_type LIKE 'time%' THEN siltstone_time(p.index_int, s.index_type)
                ELSE coalesce(p.index_text, p.index_float::text, p.index_int::text) END AS index_value,
           CASE WHEN s.value_type = 'u64' AND p.value_int < 0
                THEN (p.value_int + 18446744073709551616::numeric)::double precision
                ELSE coalesce(p.value_float, p.value_real, p.value_int, p.value_bool::int) END AS value,
           p.row, p.index_int, p.index_float, p.index_text,
           p.value_int, p.value_bool, p.value_text, p.value_bytes
    FROM siltstone_series s JOIN siltstone_point p ON p.series_id = s.id;
CREATE VIEW time_series_metadata AS
    SELECT key, metadata AS metadata_json, head AS head_json, length, index_type, value_type FROM siltstone_series;
