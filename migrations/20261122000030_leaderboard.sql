-- The leaderboard keeps sums. Values, currencies and ranks are computed by its readers, as those of reports are: a ratio
-- follows from which sources state its sides, and that rule stands in one place.

DROP MATERIALIZED VIEW read.leaderboard;
DROP TABLE read.leaderboard_measures;
DROP FUNCTION read.divide_half_even(numeric, numeric);

-- Three kinds of rows.
-- One for each workspace and window says what the others are true of: epoch, position, instant, range, and the sources of
-- the workspace, as they stood. It alone changes with every refresh; the others stay as they are while their numbers do,
-- which is what CONCURRENTLY is good at. kept_from: the instant from which numbers are kept, where the range begins before.
-- One for each campaign (without days and measure): its name, and the sources that ever fed it.
-- One for each campaign, source, measure and window: the sum. uncut: over buckets that are not days of the workspace, too.
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
), said AS MATERIALIZED (
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
        WHERE s.epoch = b.epoch AND s.workspace = b.workspace AND s.grain <> 'day' AND s.value IS NOT NULL
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
          AND s.epoch = b.epoch AND s.workspace = b.workspace AND s.grain = 'day' AND s.value IS NOT NULL
          AND s.bucket_start >= b.month_starts - interval '2 days' AND s.bucket_start < b.ends_at + interval '2 days'
        GROUP BY 1, 2, 3
    ) n
    CROSS JOIN LATERAL (VALUES (7, n.week, n.week_uncut), (30, n.month, n.month_uncut)) AS w (days, value, uncut)
    WHERE w.value IS NOT NULL
), fed AS (
    SELECT b.workspace, c.campaign_id, c.name,
           (SELECT array_agg(f.source_id ORDER BY f.source_id) FROM read.campaign_sources f
            WHERE f.epoch = b.epoch AND f.workspace = b.workspace AND f.campaign_id = c.campaign_id) AS sources
    FROM board b
    JOIN read.campaigns c ON c.epoch = b.epoch AND c.workspace = b.workspace
    WHERE EXISTS (SELECT FROM said n WHERE n.workspace = b.workspace AND n.campaign_id = c.campaign_id)
)
SELECT n.workspace, n.days, n.measure, n.campaign_id, n.source_id, sum(n.value) AS value, bool_or(n.uncut) AS uncut,
       NULL::text AS name, NULL::uuid[] AS sources,
       NULL::integer AS epoch, NULL::bigint AS position, NULL::timestamptz AS as_of, NULL::date AS date_from, NULL::date AS date_to,
       NULL::timestamptz AS starts_at, NULL::timestamptz AS ends_at, NULL::timestamptz AS kept_from, NULL::json AS feeding
FROM said n
GROUP BY 1, 2, 3, 4, 5
UNION ALL
SELECT f.workspace, 0, '', f.campaign_id, '00000000-0000-0000-0000-000000000000', NULL, NULL, f.name, f.sources,
       NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM fed f
UNION ALL
SELECT b.workspace, w.days, '', '00000000-0000-0000-0000-000000000000', '00000000-0000-0000-0000-000000000000', NULL, NULL, NULL, NULL,
       b.epoch, b.position, b.as_of, w.date_from, b.date_to, w.starts_at, b.ends_at,
       (SELECT max(r.before) FROM read.epoch_retention r
        WHERE r.projection = 'campaign_model' AND r.epoch = b.epoch AND r.before > w.starts_at
          AND (r.table_name IN ('rollup_daily', 'statements') OR r.table_name = b.edges AND w.starts_at <> date_trunc('day', w.starts_at, 'UTC'))),
       read.leaderboard_sources(b.epoch, b.workspace)
FROM board b
CROSS JOIN LATERAL (VALUES (7, b.week_date, b.week_starts), (30, b.month_date, b.month_starts)) AS w (days, date_from, starts_at);
-- CONCURRENTLY finds by it which rows changed.
CREATE UNIQUE INDEX leaderboard_key ON read.leaderboard (workspace, days, measure, campaign_id, source_id);

ALTER MATERIALIZED VIEW read.leaderboard OWNER TO highwater_projector;
GRANT SELECT ON read.leaderboard TO highwater_read;
