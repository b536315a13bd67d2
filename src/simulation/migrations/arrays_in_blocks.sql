CREATE VIEW numpy_array AS
SELECT id, dtype, shape, nullif(codec, 'block') AS codec, checksum,
       CASE WHEN codec IS 'block' THEN silt_raw(dtype, shape, codec, data) ELSE data END AS data
FROM numpy_array_rows
