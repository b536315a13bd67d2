CREATE VIEW time_series_data AS
SELECT s.key               AS key,
       p.c0                AS index_value,
       p.c1                AS value,
       b.first_row + p.row AS idx
FROM series s
JOIN series_block b ON b.series_id = s.id
JOIN silt_block('series_block', b.id, b.least, b.greatest, s.index_type || ';' || s.value_type, s.head) p
