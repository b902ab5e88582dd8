-- Observations number $2 up to $3 of a workspace's source, $4 to an event and $5 to a day, as if they had been recorded: in
-- the form and the mix of those that are, whose campaigns they name. Through the log ten million of them would take long.
INSERT INTO log.events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, workspace,
                        position, recorded_at)
SELECT 'observations', $1::integer || '/00000000-0000-0000-0000-000000005000', 1 + event.number, 'ObservationsRecorded', '1',
       format('{"source":"00000000-0000-0000-0000-000000005000","currency":"EUR","campaigns":[%s],"observations":[%s]}',
              CASE WHEN $4 > 1 THEN campaign.every ELSE campaign.each[1 + event.chosen] END, event.observations)::json,
       '{}', $1::integer, head.position + 1 + event.number - $2 / $4,
       timestamptz '2026-11-01 00:00Z' + make_interval(secs => event.number)
FROM (SELECT h.position FROM log.heads AS h WHERE h.workspace = $1) AS head,
     (SELECT string_agg(id, ',' ORDER BY id) AS every, array_agg(id ORDER BY id) AS each
      FROM (SELECT '"00000000-0000-0000-0000-' || lpad(to_hex(51712 + n), 12, '0') || '"' AS id
            FROM generate_series(0, 99) AS n) AS ids) AS campaign,
     (SELECT n / $4 AS number, min(mixed % 100) AS chosen,
             string_agg(concat('["observation-', lpad(n::text, 8, '0'), '",', CASE WHEN $4 > 1 THEN mixed % 100 ELSE 0 END, ',',
                               CASE WHEN mixed / 100 % 100 < 80 THEN '"impression",' || moment
                                    WHEN mixed / 100 % 100 < 95 THEN '"click",' || moment || ',1,410000'
                                    WHEN mixed / 100 % 100 < 98 THEN '"visit",' || moment
                                    ELSE '"conversion",' || moment || ',1000000,59900000' END, ']'), ',' ORDER BY n) AS observations
      FROM (SELECT n, hashint4(n) & 2147483647 AS mixed, 1793491200000 + n::bigint * 86400000 / $5 AS moment
            FROM generate_series($2::integer, $3::integer - 1) AS n) AS numbered
      GROUP BY 1) AS event
