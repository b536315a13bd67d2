CREATE VIEW time_series_data AS
SELECT s.key               AS key,
       p.index_value       AS index_value,
       p.value             AS value,
       b.first_row + p.row AS idx
FROM series s
JOIN series_block b ON b.series_id = s.id
JOIN silt_points(b.id, b.rows, s.index_type, s.value_type, b.least, b.greatest, s.head) p
