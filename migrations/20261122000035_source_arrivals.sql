-- The quarter of an hour in which observations of each source were last recorded. A source that completes by the clock
-- does so only while something of it arrives.
CREATE TABLE read.source_arrivals (
    epoch     integer NOT NULL,
    workspace integer NOT NULL,
    source_id uuid NOT NULL,
    quarter   timestamptz NOT NULL,
    PRIMARY KEY (epoch, workspace, source_id)
) PARTITION BY LIST (epoch);
ALTER TABLE read.source_arrivals OWNER TO highwater_projector;
GRANT SELECT ON read.source_arrivals TO highwater_read;

-- With it.
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
        'heard_in', a.quarter, 'mark', 0,
        'feeds', EXISTS (SELECT FROM read.campaign_sources f
                         WHERE f.epoch = of_epoch AND f.workspace = of_workspace AND f.source_id = s.source_id)) ORDER BY s.name)
    FROM read.sources s
    LEFT JOIN read.source_syncs y ON y.epoch = of_epoch AND y.workspace = of_workspace AND y.source_id = s.source_id
    LEFT JOIN read.source_arrivals a ON a.epoch = of_epoch AND a.workspace = of_workspace AND a.source_id = s.source_id
    WHERE s.epoch = of_epoch AND s.workspace = of_workspace
$$;
