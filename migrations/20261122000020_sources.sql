-- Sources have a life: settings change from a date on, sources end and resume. What a source said of its runs says when
-- each bucket was last read, so that a number is final only when it was read again after it could change no longer.
--
-- A rebuild fills all of it. What stands in older epochs is brought along as far as it is known there, so that they can
-- be read until they are replaced.

DROP MATERIALIZED VIEW read.leaderboard;

-- definition: as it was registered, in the form of the program. The columns beside it are for statements that rank.
ALTER TABLE read.sources ADD COLUMN definition json;
UPDATE read.sources SET definition = json_strip_nulls(json_build_object(
    'name', name, 'channel', channel, 'kind', kind, 'role', role, 'measure_roles', measure_roles, 'time_zone', time_zone,
    'currency', currency, 'expected_delay_s', expected_delay_s,
    'horizons', json_build_object('delivery', restatement_horizon_s, 'conversions', restatement_horizon_s)));
ALTER TABLE read.sources ALTER COLUMN definition SET NOT NULL,
    DROP COLUMN kind, DROP COLUMN time_zone, DROP COLUMN expected_delay_s, DROP COLUMN restatement_horizon_s;

-- What happened to a source after its registration: each event, from which readers fold its settings by date.
CREATE TABLE read.source_changes (
    epoch     integer NOT NULL,
    workspace integer NOT NULL,
    source_id uuid NOT NULL,
    position  bigint NOT NULL,
    event     json NOT NULL,
    PRIMARY KEY (epoch, workspace, source_id, position)
) PARTITION BY LIST (epoch);

-- Which measures a source ever stated, of any campaign. position: of the first event that did, which changes who is
-- expected of a question.
CREATE TABLE read.source_measures (
    epoch     integer NOT NULL,
    workspace integer NOT NULL,
    source_id uuid NOT NULL,
    measure   text NOT NULL,
    position  bigint NOT NULL,
    PRIMARY KEY (epoch, workspace, source_id, measure)
) PARTITION BY LIST (epoch);

-- open_run_at: when the run started that is underway. last_read_at: when the run started that last moved completeness.
-- final_delivery, final_conversions: up to where the source calls its numbers final itself. reads: which buckets were
-- last read by a run that started when.
ALTER TABLE read.source_syncs
    ADD COLUMN open_run_at timestamptz, ADD COLUMN last_read_at timestamptz,
    ADD COLUMN final_delivery timestamptz, ADD COLUMN final_conversions timestamptz,
    ADD COLUMN reads json NOT NULL DEFAULT '[]';
UPDATE read.source_syncs SET reads = json_build_array(json_build_object('to', complete_through, 'started_at', last_completed_at))
WHERE complete_through IS NOT NULL AND last_completed_at IS NOT NULL;
ALTER TABLE read.source_syncs ALTER COLUMN reads DROP DEFAULT;

-- Each run that ended well, or that took completeness back (is_reopening: to covers_to): tells whether a change came
-- after the number was final. It read the buckets that end after covers_from (NULL: every earlier one), up to covers_to.
CREATE TABLE read.source_runs (
    epoch        integer NOT NULL,
    workspace    integer NOT NULL,
    source_id    uuid NOT NULL,
    position     bigint NOT NULL,
    completed_at timestamptz NOT NULL,
    started_at   timestamptz NOT NULL,
    covers_from  timestamptz,
    covers_to    timestamptz NOT NULL,
    is_reopening boolean NOT NULL,
    PRIMARY KEY (epoch, workspace, source_id, completed_at, position)
) PARTITION BY LIST (epoch);
DROP TABLE read.source_completions;
UPDATE read.epochs SET tables = array_remove(tables, 'source_completions');

ALTER TABLE read.source_changes OWNER TO highwater_projector;
ALTER TABLE read.source_measures OWNER TO highwater_projector;
ALTER TABLE read.source_runs OWNER TO highwater_projector;
GRANT SELECT ON read.source_changes, read.source_measures, read.source_runs TO highwater_read;

-- The claim of a source's name keeps the source with its version, and another claim what it is complete through.
UPDATE log.claims SET state = json_build_object('version', 1, 'source', owner, 'definition',
    (state::jsonb - 'restatement_horizon_s') || jsonb_build_object('horizons', jsonb_build_object(
        'delivery', state::jsonb -> 'restatement_horizon_s', 'conversions', state::jsonb -> 'restatement_horizon_s')))::text
WHERE kind = 'source_name' AND state::jsonb ? 'restatement_horizon_s';
INSERT INTO log.claims (workspace, kind, key, owner, state)
SELECT s.workspace, 'completeness', s.source, s.source, to_char(s.through AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
FROM (SELECT workspace, split_part(aggregate_id, '/', 2) AS source,
             max((payload -> 'SyncCompleted' ->> 'complete_through')::timestamptz) AS through
      FROM log.events WHERE event_type = 'SyncCompleted' GROUP BY 1, 2) s
ON CONFLICT DO NOTHING;

-- The sources of a workspace as they stand, for a refresh of the leaderboard: as rows of the program's form.
CREATE FUNCTION read.leaderboard_sources(of_epoch integer, of_workspace integer) RETURNS json
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
        'mark', 0,
        'feeds', EXISTS (SELECT FROM read.campaign_sources f
                         WHERE f.epoch = of_epoch AND f.workspace = of_workspace AND f.source_id = s.source_id)) ORDER BY s.name)
    FROM read.sources s
    LEFT JOIN read.source_syncs y ON y.epoch = of_epoch AND y.workspace = of_workspace AND y.source_id = s.source_id
    WHERE s.epoch = of_epoch AND s.workspace = of_workspace
$$;
ALTER FUNCTION read.leaderboard_sources(integer, integer) OWNER TO highwater_projector;

CREATE MATERIALIZED VIEW read.leaderboard AS
-- Both windows end with today, so one pass over the longer one gives both. Its rows are few: days of UTC, but where a window
-- begins or ends within one; there they are hours, or quarters if it begins or ends within an hour.
WITH board AS MATERIALIZED (
    SELECT l.workspace, l.epoch, c.position, r.as_of, t.date AS date_to, t.ends_at,
           w.date AS week_date, w.starts_at AS week_starts, m.date AS month_date, m.starts_at AS month_starts,
           CASE WHEN mod(extract(epoch FROM w.starts_at), 3600) = 0 AND mod(extract(epoch FROM m.starts_at), 3600) = 0
                     AND mod(extract(epoch FROM t.ends_at), 3600) = 0
                THEN 'rollup_hourly' ELSE 'rollup_15m' END AS edges
    FROM read.live_epochs l
    JOIN read.checkpoints c ON c.projection = l.projection AND c.epoch = l.epoch AND c.workspace = l.workspace
    CROSS JOIN read.leaderboard_refresh r
    JOIN read.leaderboard_days w ON w.workspace = l.workspace AND w.days_ago = 6
    JOIN read.leaderboard_days m ON m.workspace = l.workspace AND m.days_ago = 29
    JOIN read.leaderboard_days t ON t.workspace = l.workspace AND t.days_ago = 0
    WHERE l.projection = 'campaign_model'
), days AS MATERIALIZED (
    -- The days of UTC that lie whole in a window and touch no window's edge, and the other parts of the windows.
    SELECT b.workspace, e.is_whole, e.starts_at, e.ends_at
    FROM board b
    CROSS JOIN LATERAL (SELECT date_trunc('day', b.month_starts, 'UTC') AS month_day, date_trunc('day', b.week_starts, 'UTC') AS week_day,
                               date_trunc('day', b.ends_at, 'UTC') AS last_day, interval '24 hours' AS day) d
    CROSS JOIN LATERAL (SELECT d.month_day + CASE WHEN d.month_day < b.month_starts THEN d.day ELSE '0' END AS month_first,
                               d.week_day + CASE WHEN d.week_day < b.week_starts THEN d.day ELSE '0' END AS week_first) f
    CROSS JOIN LATERAL (VALUES (true, f.month_first, d.week_day), (true, f.week_first, d.last_day),
                               (false, b.month_starts, f.month_first), (false, d.week_day, f.week_first), (false, d.last_day, b.ends_at))
         AS e (is_whole, starts_at, ends_at)
    WHERE e.starts_at < e.ends_at
), said AS (
    SELECT b.workspace, b.epoch, w.days, n.campaign_id, n.source_id, n.measure, w.value, w.uncut
    FROM board b
    -- Aggregated inside, so that each workspace's range is one scan of one epoch's rows, whatever else is there.
    CROSS JOIN LATERAL (
        SELECT i.campaign_id, i.source_id, i.measure, sum(i.value) AS month, false AS month_uncut,
               sum(i.value) FILTER (WHERE i.bucket >= b.week_starts) AS week, false AS week_uncut
        FROM days d
        JOIN read.rollup_daily i ON i.bucket >= d.starts_at AND i.bucket < d.ends_at
        WHERE d.workspace = b.workspace AND d.is_whole AND i.epoch = b.epoch AND i.workspace = b.workspace
        GROUP BY 1, 2, 3
        UNION ALL
        SELECT i.campaign_id, i.source_id, i.measure, sum(i.value), false,
               sum(i.value) FILTER (WHERE i.bucket >= b.week_starts), false
        FROM days d
        JOIN read.rollup_hourly i ON i.bucket >= d.starts_at AND i.bucket < d.ends_at
        WHERE b.edges = 'rollup_hourly' AND d.workspace = b.workspace AND NOT d.is_whole
          AND i.epoch = b.epoch AND i.workspace = b.workspace
        GROUP BY 1, 2, 3
        UNION ALL
        SELECT i.campaign_id, i.source_id, i.measure, sum(i.value), false,
               sum(i.value) FILTER (WHERE i.bucket >= b.week_starts), false
        FROM days d
        JOIN read.rollup_15m i ON i.bucket >= d.starts_at AND i.bucket < d.ends_at
        WHERE b.edges = 'rollup_15m' AND d.workspace = b.workspace AND NOT d.is_whole
          AND i.epoch = b.epoch AND i.workspace = b.workspace
        GROUP BY 1, 2, 3
        UNION ALL
        SELECT s.campaign_id, s.source_id, s.measure, sum(s.value), bool_or(s.bucket_end > b.ends_at),
               sum(s.value) FILTER (WHERE s.bucket_start >= b.week_starts),
               bool_or(s.bucket_end > b.ends_at) FILTER (WHERE s.bucket_start >= b.week_starts)
        FROM read.statements s
        WHERE s.epoch = b.epoch AND s.workspace = b.workspace AND s.grain <> 'day'
          AND s.bucket_start >= b.month_starts AND s.bucket_start < b.ends_at
        GROUP BY 1, 2, 3
        UNION ALL
        -- A day that a source states stands under its own date, whatever its zone.
        SELECT s.campaign_id, s.source_id, s.measure, sum(s.value),
               bool_or(s.bucket_start <> d.starts_at OR s.bucket_end <> d.ends_at),
               sum(s.value) FILTER (WHERE d.days_ago < 7),
               bool_or(s.bucket_start <> d.starts_at OR s.bucket_end <> d.ends_at) FILTER (WHERE d.days_ago < 7)
        FROM read.leaderboard_days d
        JOIN read.statements s ON s.bucket_date = d.date
        WHERE d.workspace = b.workspace AND d.days_ago < 30
          AND s.epoch = b.epoch AND s.workspace = b.workspace AND s.grain = 'day'
          AND s.bucket_start >= b.month_starts - interval '2 days' AND s.bucket_start < b.ends_at + interval '2 days'
        GROUP BY 1, 2, 3
    ) n
    CROSS JOIN LATERAL (VALUES (7, n.week, n.week_uncut), (30, n.month, n.month_uncut)) AS w (days, value, uncut)
    WHERE w.value IS NOT NULL
), stated AS MATERIALIZED (
    SELECT n.workspace, n.epoch, n.days, n.campaign_id, n.source_id, n.measure, s.currency, sum(n.value) AS value,
           bool_or(n.uncut) AS uncut
    FROM said n
    JOIN read.sources s ON s.epoch = n.epoch AND s.workspace = n.workspace AND s.source_id = n.source_id
    WHERE coalesce(s.measure_roles ->> n.measure, s.role) = 'primary'
    GROUP BY 1, 2, 3, 4, 5, 6, 7
), valued AS (
    SELECT n.workspace, n.epoch, n.days, n.campaign_id, m.measure, m.is_money,
           m.needs_currency AND min(n.currency) <> max(n.currency) AS mixed, min(n.currency) AS currency,
           CASE WHEN m.denominator IS NULL THEN sum(n.value)
                ELSE read.divide_half_even(sum(n.value) * m.numerator_times, sum(d.value) * m.denominator_times) END AS value,
           array_agg(n.source_id ORDER BY n.source_id) FILTER (WHERE m.denominator IS NULL) AS sources,
           array_agg(n.source_id ORDER BY n.source_id) FILTER (WHERE m.denominator IS NULL AND n.uncut) AS uncut
    FROM stated n
    JOIN read.leaderboard_measures m ON m.numerator = n.measure
    -- From the sources that state both sides.
    LEFT JOIN stated d ON d.workspace = n.workspace AND d.days = n.days AND d.campaign_id = n.campaign_id
                      AND d.source_id = n.source_id AND d.measure = m.denominator
    WHERE m.denominator IS NULL OR d.measure IS NOT NULL
    GROUP BY 1, 2, 3, 4, m.measure
), shown AS (
    SELECT v.workspace, v.days, v.measure, v.campaign_id, c.name, v.sources, v.uncut,
           CASE WHEN NOT v.mixed THEN v.value END AS value,
           CASE WHEN v.is_money AND NOT v.mixed THEN v.currency ELSE '' END AS currency
    FROM valued v
    JOIN read.campaigns c ON c.epoch = v.epoch AND c.workspace = v.workspace AND c.campaign_id = v.campaign_id
    WHERE v.value IS NOT NULL
)
SELECT s.workspace, s.days, s.measure, s.campaign_id, s.currency, s.value,
       CASE WHEN s.value IS NOT NULL
            THEN rank() OVER (PARTITION BY s.workspace, s.days, s.measure, s.currency, s.value IS NULL ORDER BY s.value DESC)
       END AS rank,
       s.name, s.sources, s.uncut,
       NULL::integer AS epoch, NULL::bigint AS position, NULL::timestamptz AS as_of, NULL::date AS date_from, NULL::date AS date_to,
       NULL::timestamptz AS starts_at, NULL::timestamptz AS ends_at, NULL::timestamptz AS kept_from, NULL::json AS feeding
FROM shown s
UNION ALL
SELECT b.workspace, w.days, '', '00000000-0000-0000-0000-000000000000', '', NULL, NULL, NULL, NULL, NULL,
       b.epoch, b.position, b.as_of, w.date_from, b.date_to, w.starts_at, b.ends_at,
       (SELECT max(r.before) FROM read.epoch_retention r
        WHERE r.projection = 'campaign_model' AND r.epoch = b.epoch AND r.before > w.starts_at
          AND (r.table_name IN ('rollup_daily', 'statements') OR r.table_name = b.edges AND w.starts_at <> date_trunc('day', w.starts_at, 'UTC'))),
       read.leaderboard_sources(b.epoch, b.workspace)
FROM board b
CROSS JOIN LATERAL (VALUES (7, b.week_date, b.week_starts), (30, b.month_date, b.month_starts)) AS w (days, date_from, starts_at);
-- CONCURRENTLY finds by it which rows changed.
CREATE UNIQUE INDEX leaderboard_key ON read.leaderboard (workspace, days, measure, campaign_id);
CREATE INDEX leaderboard_by_rank ON read.leaderboard (workspace, days, measure, currency, rank, campaign_id);
-- The few rows that an answer warns of: those of several sources, of other days, and without a rank.
CREATE INDEX leaderboard_stated_otherwise ON read.leaderboard (workspace, days, measure)
    WHERE cardinality(sources) > 1 OR uncut IS NOT NULL;
CREATE INDEX leaderboard_without_rank ON read.leaderboard (workspace, days, measure) WHERE value IS NULL;

ALTER MATERIALIZED VIEW read.leaderboard OWNER TO highwater_projector;
GRANT SELECT ON read.leaderboard TO highwater_read;
