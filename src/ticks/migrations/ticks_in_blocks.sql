UNION ALL
SELECT -(k.id * 1048576 + b.row)                                          AS id,
       s.symbol                                                           AS symbol,
       b.ms                                                               AS timestamp,
       b.c1                                                               AS bid,
       CASE k.kept WHEN 'spread' THEN b.c1 + b.c2 ELSE b.c2 END           AS ask,
       CASE k.kept WHEN 'ask' THEN b.c2 - b.c1
                   WHEN 'spread' THEN b.c2 ELSE b.c3 END                  AS spread,
       json_extract(CASE k.kept WHEN 'both' THEN b.c4 ELSE b.c3 END, '$[0]') AS lp_source,
       NULL                                                               AS created_at,
       b.c0                                                               AS time_ns,
       json_extract(CASE k.kept WHEN 'both' THEN b.c4 ELSE b.c3 END, '$[1]') AS broker_id,
       NULL                                                               AS arrival
FROM tick_block k
JOIN tick_symbol s ON s.id = k.symbol_id
JOIN silt_block('tick_block', k.id, k.first_ns, k.last_ns) b
