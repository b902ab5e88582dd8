-- A source may move on to another time zone or currency: a series begins. rollup_15m, rollup_hourly, rollup_daily, dimension_values,
-- dimension_totals, statements and source_grains have the series in source_id; the first one has the id of its source. Every other
-- table has the source.

-- The currency of a correction, where its series is not the first one of its source.
ALTER TABLE read.corrections ADD COLUMN currency text COLLATE "C";

-- The grains of a source's other series beside those of the first one.
CREATE OR REPLACE FUNCTION read.leaderboard_sources(of_epoch integer, of_workspace integer) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_agg(json_build_object(
        'source_id', s.source_id, 'definition', s.definition,
        'changes', ARRAY(SELECT c.event FROM read.source_changes c
                         WHERE c.epoch = of_epoch AND c.workspace = of_workspace AND c.source_id = s.source_id ORDER BY c.position),
        'measures', ARRAY(SELECT c.measure FROM read.source_measures c
                          WHERE c.epoch = of_epoch AND c.workspace = of_workspace AND c.source_id = s.source_id ORDER BY c.measure),
        'last_started_at', y.last_started_at, 'last_completed_at', y.last_completed_at, 'last_failed_at', y.last_failed_at,
        'failure_reason', y.failure_reason, 'complete_through', y.complete_through, 'grain', y.grain,
        'open_run_at', y.open_run_at, 'last_read_at', y.last_read_at, 'final_delivery', y.final_delivery,
        'final_conversions', y.final_conversions, 'reads', y.reads,
        'cuts', ARRAY(SELECT c.grain || ' ' || c.time_zone FROM read.source_grains c
                      WHERE c.epoch = of_epoch AND c.workspace = of_workspace AND c.source_id = s.source_id ORDER BY 1),
        'series_cuts', ARRAY(SELECT DISTINCT c.source_id || ' ' || c.grain || ' ' || c.time_zone
                             FROM read.source_changes e
                             JOIN read.source_grains c ON c.source_id = (e.event #>> '{SourceChanged,change,series,id}')::uuid
                             WHERE e.epoch = of_epoch AND e.workspace = of_workspace AND e.source_id = s.source_id
                               AND c.epoch = of_epoch AND c.workspace = of_workspace ORDER BY 1),
        'heard_in', a.quarter, 'mark', 0,
        'feeds', EXISTS (SELECT FROM read.campaign_sources f
                         WHERE f.epoch = of_epoch AND f.workspace = of_workspace AND f.source_id = s.source_id)) ORDER BY s.name)
    FROM read.sources s
    LEFT JOIN read.source_syncs y ON y.epoch = of_epoch AND y.workspace = of_workspace AND y.source_id = s.source_id
    LEFT JOIN read.source_arrivals a ON a.epoch = of_epoch AND a.workspace = of_workspace AND a.source_id = s.source_id
    WHERE s.epoch = of_epoch AND s.workspace = of_workspace
$$;
