-- The leaderboard follows the settings of sources by date: its sums are cut where the channel, the roles or the measures of a
-- source change, and its readers count each piece by the settings that hold there. Nothing else of its query changes.

-- The days at which settings of any source of a workspace change. The domain's calendar computes their first instants.
CREATE TABLE read.leaderboard_cuts (
    workspace integer NOT NULL,
    at        timestamptz NOT NULL,
    date      date NOT NULL,
    PRIMARY KEY (workspace, at)
);
ALTER TABLE read.leaderboard_cuts OWNER TO highwater_projector;

DROP MATERIALIZED VIEW read.leaderboard;

-- Three kinds of rows.
-- One for each workspace and window says what the others are true of: epoch, position, instant, range, and the sources of
-- the workspace, as they stood. It alone changes with every refresh; the others stay as they are while their numbers do,
-- which is what CONCURRENTLY is good at. kept_from: the instant from which numbers are kept, where the range begins before.
-- One for each campaign (without days and measure): its name, and the sources that ever fed it.
-- One for each campaign, source, measure, window and piece: the sum. uncut: over buckets that are not days of the workspace, too.
-- piece: how many of the window's cuts lie before. At a cut, the channel, the roles or the measures of a source change.
CREATE MATERIALIZED VIEW read.leaderboard AS
-- Both windows end with today, so one pass over the longer one gives both. Its rows are few: days of UTC, but where a window
-- begins or ends within one; there they are hours, or quarters if it begins or ends within an hour.
WITH board AS MATERIALIZED (
    SELECT l.workspace, l.epoch, c.position, r.as_of, t.date AS date_to, t.ends_at,
           w.date AS week_date, w.starts_at AS week_starts, m.date AS month_date, m.starts_at AS month_starts,
           CASE WHEN mod(extract(epoch FROM w.starts_at), 3600) = 0 AND mod(extract(epoch FROM m.starts_at), 3600) = 0
                     AND mod(extract(epoch FROM t.ends_at), 3600) = 0 AND coalesce(u.are_hours, true)
                THEN 'rollup_hourly' ELSE 'rollup_15m' END AS edges,
           coalesce(u.starts, '{}') AS cut_starts, coalesce(u.dates, '{}') AS cut_dates
    FROM read.live_epochs l
    JOIN read.checkpoints c ON c.projection = l.projection AND c.epoch = l.epoch AND c.workspace = l.workspace
    CROSS JOIN read.leaderboard_refresh r
    JOIN read.leaderboard_days w ON w.workspace = l.workspace AND w.days_ago = 6
    JOIN read.leaderboard_days m ON m.workspace = l.workspace AND m.days_ago = 29
    JOIN read.leaderboard_days t ON t.workspace = l.workspace AND t.days_ago = 0
    CROSS JOIN LATERAL (
        SELECT array_agg(c.at ORDER BY c.at) AS starts, array_agg(c.date ORDER BY c.at) AS dates,
               bool_and(mod(extract(epoch FROM c.at), 3600) = 0) AS are_hours
        -- Where zones are more than a day apart, a later cut may have an earlier date: it counts as the one before it.
        FROM (SELECT at, max(date) OVER (ORDER BY at) AS date FROM read.leaderboard_cuts
              WHERE workspace = l.workspace AND (at > m.starts_at OR date > m.date) AND (at < t.ends_at OR date <= t.date)) c
    ) u
    WHERE l.projection = 'campaign_model'
), days AS MATERIALIZED (
    -- Between the edges of windows and the cuts: the days of UTC that lie whole between two of them, and the other parts.
    SELECT p.workspace, p.piece, e.is_whole, e.starts_at, e.ends_at
    FROM (
        SELECT b.workspace, width_bucket(e.at, b.cut_starts) AS piece, e.at,
               lead(e.at) OVER (PARTITION BY b.workspace ORDER BY e.at) AS until
        FROM board b
        CROSS JOIN LATERAL (SELECT b.month_starts AS at UNION SELECT b.week_starts UNION SELECT b.ends_at
                            UNION SELECT c.at FROM unnest(b.cut_starts) AS c (at) WHERE c.at > b.month_starts AND c.at < b.ends_at) e
    ) p
    CROSS JOIN LATERAL (SELECT date_trunc('day', p.at, 'UTC') AS day, date_trunc('day', p.until, 'UTC') AS last) d
    CROSS JOIN LATERAL (SELECT d.day + CASE WHEN d.day < p.at THEN interval '24 hours' ELSE '0' END AS first) f
    CROSS JOIN LATERAL (VALUES (true, f.first, d.last), (false, p.at, least(f.first, p.until)),
                               (false, greatest(f.first, d.last), p.until))
         AS e (is_whole, starts_at, ends_at)
    WHERE p.until IS NOT NULL AND e.starts_at < e.ends_at
), said AS MATERIALIZED (
    SELECT b.workspace, b.epoch, w.days, n.campaign_id, n.source_id, n.measure, n.piece, w.value, w.uncut
    FROM board b
    -- Aggregated inside, so that each workspace's range is one scan of one epoch's rows, whatever else is there.
    CROSS JOIN LATERAL (
        SELECT i.campaign_id, i.source_id, i.measure, d.piece, sum(i.value) AS month, false AS month_uncut,
               sum(i.value) FILTER (WHERE i.bucket >= b.week_starts) AS week, false AS week_uncut
        FROM days d
        JOIN read.rollup_daily i ON i.bucket >= d.starts_at AND i.bucket < d.ends_at
        WHERE d.workspace = b.workspace AND d.is_whole AND i.epoch = b.epoch AND i.workspace = b.workspace
        GROUP BY 1, 2, 3, 4
        UNION ALL
        SELECT i.campaign_id, i.source_id, i.measure, d.piece, sum(i.value), false,
               sum(i.value) FILTER (WHERE i.bucket >= b.week_starts), false
        FROM days d
        JOIN read.rollup_hourly i ON i.bucket >= d.starts_at AND i.bucket < d.ends_at
        WHERE b.edges = 'rollup_hourly' AND d.workspace = b.workspace AND NOT d.is_whole
          AND i.epoch = b.epoch AND i.workspace = b.workspace
        GROUP BY 1, 2, 3, 4
        UNION ALL
        SELECT i.campaign_id, i.source_id, i.measure, d.piece, sum(i.value), false,
               sum(i.value) FILTER (WHERE i.bucket >= b.week_starts), false
        FROM days d
        JOIN read.rollup_15m i ON i.bucket >= d.starts_at AND i.bucket < d.ends_at
        WHERE b.edges = 'rollup_15m' AND d.workspace = b.workspace AND NOT d.is_whole
          AND i.epoch = b.epoch AND i.workspace = b.workspace
        GROUP BY 1, 2, 3, 4
        UNION ALL
        SELECT s.campaign_id, s.source_id, s.measure, width_bucket(s.bucket_start, b.cut_starts), sum(s.value), bool_or(s.bucket_end > b.ends_at),
               sum(s.value) FILTER (WHERE s.bucket_start >= b.week_starts),
               bool_or(s.bucket_end > b.ends_at) FILTER (WHERE s.bucket_start >= b.week_starts)
        FROM read.statements s
        WHERE s.epoch = b.epoch AND s.workspace = b.workspace AND s.grain <> 'day' AND s.value IS NOT NULL
          AND s.bucket_start >= b.month_starts AND s.bucket_start < b.ends_at
        GROUP BY 1, 2, 3, 4
        UNION ALL
        -- A day that a source states stands under its own date, whatever its zone.
        SELECT s.campaign_id, s.source_id, s.measure, width_bucket(d.date, b.cut_dates), sum(s.value),
               bool_or(s.bucket_start <> d.starts_at OR s.bucket_end <> d.ends_at),
               sum(s.value) FILTER (WHERE d.days_ago < 7),
               bool_or(s.bucket_start <> d.starts_at OR s.bucket_end <> d.ends_at) FILTER (WHERE d.days_ago < 7)
        FROM read.leaderboard_days d
        JOIN read.statements s ON s.bucket_date = d.date
        WHERE d.workspace = b.workspace AND d.days_ago < 30
          AND s.epoch = b.epoch AND s.workspace = b.workspace AND s.grain = 'day' AND s.value IS NOT NULL
          AND s.bucket_start >= b.month_starts - interval '2 days' AND s.bucket_start < b.ends_at + interval '2 days'
        GROUP BY 1, 2, 3, 4
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
SELECT n.workspace, n.days, n.measure, n.campaign_id, n.source_id, n.piece, sum(n.value) AS value, bool_or(n.uncut) AS uncut,
       NULL::text AS name, NULL::uuid[] AS sources,
       NULL::integer AS epoch, NULL::bigint AS position, NULL::timestamptz AS as_of, NULL::date AS date_from, NULL::date AS date_to,
       NULL::timestamptz AS starts_at, NULL::timestamptz AS ends_at, NULL::timestamptz AS kept_from, NULL::json AS feeding, NULL::timestamptz[] AS cut_starts
FROM said n
GROUP BY 1, 2, 3, 4, 5, 6
UNION ALL
SELECT f.workspace, 0, '', f.campaign_id, '00000000-0000-0000-0000-000000000000', 0, NULL, NULL, f.name, f.sources,
       NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM fed f
UNION ALL
SELECT b.workspace, w.days, '', '00000000-0000-0000-0000-000000000000', '00000000-0000-0000-0000-000000000000', 0, NULL, NULL, NULL, NULL,
       b.epoch, b.position, b.as_of, w.date_from, b.date_to, w.starts_at, b.ends_at,
       (SELECT max(r.before) FROM read.epoch_retention r
        WHERE r.projection = 'campaign_model' AND r.epoch = b.epoch AND r.before > w.starts_at
          AND (r.table_name IN ('rollup_daily', 'statements') OR r.table_name = b.edges AND (w.starts_at <> date_trunc('day', w.starts_at, 'UTC') OR b.cut_starts <> '{}'))),
       read.leaderboard_sources(b.epoch, b.workspace), b.cut_starts
FROM board b
CROSS JOIN LATERAL (VALUES (7, b.week_date, b.week_starts), (30, b.month_date, b.month_starts)) AS w (days, date_from, starts_at);
-- CONCURRENTLY finds by it which rows changed.
CREATE UNIQUE INDEX leaderboard_key ON read.leaderboard (workspace, days, measure, campaign_id, source_id, piece);

ALTER MATERIALIZED VIEW read.leaderboard OWNER TO highwater_projector;
GRANT SELECT ON read.leaderboard TO highwater_read;
