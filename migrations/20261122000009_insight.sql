-- What people ask of a campaign beside its numbers: who did what to it.

-- campaign_model: what was decided of a campaign and what corrections did to it, one row for each event and kind of happening.
-- to_values: what the event made of the campaign's fields, as the domain writes them (what they were before stands in the row
-- before that set them); for corrections, how many there were and what they added. The ids are those of the event's metadata; NULL where nobody said.
CREATE TABLE read.activity (
    epoch          integer NOT NULL,
    workspace      integer NOT NULL,
    campaign_id    uuid NOT NULL,
    position       bigint NOT NULL,
    kind           text COLLATE "C" NOT NULL,
    recorded_at    timestamptz NOT NULL,
    source_id      uuid,
    actor          text,
    correlation_id text,
    causation_id   text,
    traceparent    text,
    to_values      json NOT NULL,
    PRIMARY KEY (epoch, workspace, campaign_id, position, kind)
) PARTITION BY LIST (epoch);
-- What a field was before a change: the row before it that set the same.
CREATE INDEX activity_by_kind ON read.activity (epoch, workspace, campaign_id, kind, position);
ALTER TABLE read.activity OWNER TO highwater_projector;
GRANT SELECT ON read.activity TO highwater_read;

-- The leaderboard: each workspace's campaigns, ranked by every measure over its last 7 and 30 days, today included. Refreshed as
-- one statement, so that numbers, epochs, positions and freshness are those of one snapshot.

-- What a refresh is told by the program, whose calendar and catalogue are the only ones: when it was; each workspace's last 30
-- local days, 0 being today; and the measures. An additive one has no denominator; a derived one is
-- numerator * numerator_times / (denominator * denominator_times). Amounts of several currencies are never added, nor is
-- anything computed from them (needs_currency); is_money: the result has a currency itself.
CREATE TABLE read.leaderboard_refresh (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    as_of  timestamptz NOT NULL
);
CREATE TABLE read.leaderboard_days (
    workspace integer NOT NULL,
    days_ago  integer NOT NULL,
    date      date NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at   timestamptz NOT NULL,
    PRIMARY KEY (workspace, days_ago)
);
CREATE TABLE read.leaderboard_measures (
    measure           text PRIMARY KEY,
    numerator         text NOT NULL,
    denominator       text,
    numerator_times   numeric NOT NULL,
    denominator_times numeric NOT NULL,
    needs_currency    boolean NOT NULL,
    is_money          boolean NOT NULL
);

-- Rounded half to even, as the program divides; NULL by 0.
CREATE FUNCTION read.divide_half_even(numerator numeric, denominator numeric) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT q.whole + CASE WHEN q.twice > abs(denominator) OR q.twice = abs(denominator) AND mod(q.whole, 2) <> 0
                          THEN sign(numerator) * sign(denominator) ELSE 0 END
    FROM (SELECT div(numerator, nullif(denominator, 0)) AS whole, 2 * abs(mod(numerator, nullif(denominator, 0))) AS twice) q
$$;

-- Two kinds of rows. One without a measure for each workspace and window says what the others are true of: epoch, position,
-- instant, range, and the sources that feed the workspace's campaigns, as they stood. It alone changes with every refresh; the
-- others stay as they are while their numbers do, which is what CONCURRENTLY is good at. kept_from: where the range reaches back
-- further than what is kept, from when on that is.
-- A row with a measure ranks a campaign. value: in the measure's smallest unit, derived ones in millionths; NULL where it would
-- mix currencies. sources state it; those of `uncut` in buckets that are not days of the workspace.
CREATE MATERIALIZED VIEW read.leaderboard AS
-- Both windows end with today, so one pass over the longer one gives both. Its rows are few: days of UTC, but where a window
-- begins or ends within one; there they are hours, or quarters if it begins or ends within an hour.
WITH board AS MATERIALIZED (
    SELECT l.workspace, l.epoch, c.position, r.as_of, t.date AS date_to, t.ends_at,
           w.date AS week_date, w.starts_at AS week_starts, m.date AS month_date, m.starts_at AS month_starts,
           CASE WHEN mod(extract(epoch FROM w.starts_at), 3600) = 0 AND mod(extract(epoch FROM m.starts_at), 3600) = 0
                     AND mod(extract(epoch FROM t.ends_at), 3600) = 0
                THEN 'hourly_increments' ELSE 'increments' END AS edges
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
        JOIN read.daily_increments i ON i.bucket >= d.starts_at AND i.bucket < d.ends_at
        WHERE d.workspace = b.workspace AND d.is_whole AND i.epoch = b.epoch AND i.workspace = b.workspace
        GROUP BY 1, 2, 3
        UNION ALL
        SELECT i.campaign_id, i.source_id, i.measure, sum(i.value), false,
               sum(i.value) FILTER (WHERE i.bucket >= b.week_starts), false
        FROM days d
        JOIN read.hourly_increments i ON i.bucket >= d.starts_at AND i.bucket < d.ends_at
        WHERE b.edges = 'hourly_increments' AND d.workspace = b.workspace AND NOT d.is_whole
          AND i.epoch = b.epoch AND i.workspace = b.workspace
        GROUP BY 1, 2, 3
        UNION ALL
        SELECT i.campaign_id, i.source_id, i.measure, sum(i.value), false,
               sum(i.value) FILTER (WHERE i.bucket >= b.week_starts), false
        FROM days d
        JOIN read.increments i ON i.bucket >= d.starts_at AND i.bucket < d.ends_at
        WHERE b.edges = 'increments' AND d.workspace = b.workspace AND NOT d.is_whole
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
          AND (r.table_name IN ('daily_increments', 'statements') OR r.table_name = b.edges AND w.starts_at <> date_trunc('day', w.starts_at, 'UTC'))),
       (SELECT json_agg(json_build_object(
            'source_id', s.source_id, 'name', s.name, 'channel', s.channel, 'kind', s.kind, 'role', s.role,
            'measure_roles', s.measure_roles, 'time_zone', s.time_zone, 'currency', s.currency,
            'expected_delay_s', s.expected_delay_s, 'restatement_horizon_s', s.restatement_horizon_s,
            'last_started_at', y.last_started_at, 'last_completed_at', y.last_completed_at, 'last_failed_at', y.last_failed_at,
            'failure_reason', y.failure_reason, 'complete_through', y.complete_through, 'grain', y.grain,
            'cuts', ARRAY(SELECT c.grain || ' ' || c.time_zone FROM read.source_cuts c
                          WHERE c.epoch = s.epoch AND c.workspace = s.workspace AND c.source_id = s.source_id ORDER BY 1),
            'mark', 0, 'feeds', true) ORDER BY s.name)
        FROM read.sources s
        LEFT JOIN read.source_syncs y ON y.epoch = s.epoch AND y.workspace = s.workspace AND y.source_id = s.source_id
        WHERE s.epoch = b.epoch AND s.workspace = b.workspace
          AND EXISTS (SELECT FROM read.campaign_sources f
                      WHERE f.epoch = s.epoch AND f.workspace = s.workspace AND f.source_id = s.source_id))
FROM board b
CROSS JOIN LATERAL (VALUES (7, b.week_date, b.week_starts), (30, b.month_date, b.month_starts)) AS w (days, date_from, starts_at);
-- CONCURRENTLY finds by it which rows changed.
CREATE UNIQUE INDEX leaderboard_key ON read.leaderboard (workspace, days, measure, campaign_id);
CREATE INDEX leaderboard_by_rank ON read.leaderboard (workspace, days, measure, currency, rank, campaign_id);
-- The few rows that an answer warns of: those of several sources, of other days, and without a rank.
CREATE INDEX leaderboard_stated_otherwise ON read.leaderboard (workspace, days, measure)
    WHERE cardinality(sources) > 1 OR uncut IS NOT NULL;
CREATE INDEX leaderboard_without_rank ON read.leaderboard (workspace, days, measure) WHERE value IS NULL;

-- A refresh runs as its owner.
ALTER TABLE read.leaderboard_refresh OWNER TO highwater_projector;
ALTER TABLE read.leaderboard_days OWNER TO highwater_projector;
ALTER TABLE read.leaderboard_measures OWNER TO highwater_projector;
ALTER FUNCTION read.divide_half_even(numeric, numeric) OWNER TO highwater_projector;
ALTER MATERIALIZED VIEW read.leaderboard OWNER TO highwater_projector;
GRANT SELECT ON read.leaderboard TO highwater_read;
