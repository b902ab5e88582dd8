-- Rows that give the planner a choice. Workspace 1 has 1,000 campaigns, of which 60 have counts and 400 a spend; three others have 100, and 10
-- that have numbers. All is there twice, in epochs 1 and 2; workspace 1 reads epoch 2, the others epoch 1. It is noon of 2026-11-22.

CREATE FUNCTION pg_temp.id(kind text, workspace integer, n integer) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT (kind || '000000-0000-0000-' || lpad(to_hex(workspace), 4, '0') || '-' || lpad(to_hex(n), 12, '0'))::uuid
$$;

-- Tables belong to the projector.
SET ROLE highwater_projector;
SELECT read.create_epoch('campaign_model', (SELECT tables FROM read.epochs WHERE projection = 'campaign_model' AND epoch = 1), (SELECT version FROM read.epochs WHERE projection = 'campaign_model' AND epoch = 1));
UPDATE read.epochs SET state = 'applied';
SELECT read.prepare_months(epoch, read.monthly_tables(), ARRAY['2026-09-01', '2026-10-01', '2026-11-01']::timestamptz[])
FROM read.epochs;
RESET ROLE;

INSERT INTO log.workspaces (workspace, name, created_at) OVERRIDING SYSTEM VALUE
SELECT w, 'other ' || w, '2026-01-01' FROM generate_series(2, 50) w;
INSERT INTO log.heads (workspace, position, recorded_at) SELECT w, 0, '2026-01-01' FROM generate_series(2, 50) w;
UPDATE log.heads SET position = 5001 WHERE workspace <= 4;
INSERT INTO log.events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, workspace, position, recorded_at)
SELECT 'observation', w || '/filled', n, 'Filled', '1', '{}', '{}', w, n, '2026-11-22 11:59'
FROM generate_series(1, 4) w, generate_series(2, 5001) n WHERE w = 1 OR n <= 100;
INSERT INTO auth.keys (key_id, workspace, name, digest, scopes, created_at)
SELECT pg_temp.id('ff', w, n), w, 'key ' || n, sha256(('key ' || w || '/' || n)::bytea), '{read}', '2026-01-01'
FROM generate_series(1, 50) w, generate_series(1, 2) n;

CREATE TEMP TABLE filled AS
SELECT w AS workspace, n, pg_temp.id('ca', w, n) AS campaign_id,
       pg_temp.id('50', w, 1) AS pushing, pg_temp.id('50', w, 2) AS pulled
FROM generate_series(1, 4) w, generate_series(1, 1000) n WHERE w = 1 OR n <= 100;
CREATE TEMP TABLE counted AS SELECT * FROM filled WHERE n <= CASE workspace WHEN 1 THEN 60 ELSE 10 END;

DELETE FROM read.workspaces;
INSERT INTO read.workspaces SELECT 1, w, 'other ' || w, 'UTC', 'EUR' FROM generate_series(1, 50) w;
DELETE FROM read.checkpoints;
INSERT INTO read.checkpoints (projection, epoch, workspace, position, following)
SELECT 'campaign_model', e, w, CASE WHEN w <= 4 THEN 5000 ELSE 0 END, true FROM generate_series(1, 2) e, generate_series(1, 50) w;
DELETE FROM read.live_epochs;
INSERT INTO read.live_epochs SELECT 'campaign_model', w, CASE w WHEN 1 THEN 2 ELSE 1 END FROM generate_series(1, 50) w;

INSERT INTO read.campaigns
SELECT 1, workspace, campaign_id, 3, n, 'Campaign ' || lpad((n * 7919 % 100003)::text, 6, '0'),
       CASE WHEN n % 50 = 0 THEN 'paused' WHEN n % 3 = 0 THEN 'draft' ELSE 'launched' END,
       CASE WHEN n % 40 = 0 THEN ARRAY['email'] ELSE ARRAY['paid_search'] END,
       'EUR', 'Europe/Berlin', date '2026-01-01' + n % 400, NULL, '2026-01-01'::timestamptz + n % 400 * interval '1 day', 5000000000, 'total',
       '[]', '{}', '2026-01-01'::timestamptz + (n * 7919 % 2003) * interval '1 hour', '2026-06-01'::timestamptz + (n * 104729 % 2003) * interval '1 hour'
FROM filled;
-- Twenty sources in each workspace. The first pushes, the second is pulled; others feed a campaign now and then.
INSERT INTO read.sources (epoch, workspace, source_id, name, channel, role, measure_roles, currency, definition)
SELECT 1, w, pg_temp.id('50', w, n), 'source ' || n, CASE n WHEN 1 THEN 'paid_search' ELSE 'email' END, 'primary', '{}', 'EUR',
       json_build_object('name', 'source ' || n, 'channel', CASE n WHEN 1 THEN 'paid_search' ELSE 'email' END,
                         'kind', CASE n WHEN 2 THEN 'pull' ELSE 'push' END, 'role', 'primary', 'time_zone', 'UTC', 'currency', 'EUR',
                         'expected_delay_s', 3600, 'horizons', '{"delivery": 259200, "conversions": 259200}'::json)
FROM generate_series(1, 20) w, generate_series(1, 20) n;
INSERT INTO read.source_changes
SELECT 1, w, pg_temp.id('50', w, n), 100 + n, json_build_object('SourceChanged', json_build_object(
       'source', pg_temp.id('50', w, n), 'change', '{"expected_delay_s": 3600}'::json, 'from', '2026-11-01', 'at', '2026-11-01T00:00:00Z'))
FROM generate_series(1, 20) w, generate_series(1, 20) n;
INSERT INTO read.source_measures
SELECT 1, w, pg_temp.id('50', w, n), m, 50 + n FROM generate_series(1, 20) w, generate_series(1, 20) n, unnest(ARRAY['clicks', 'spend']) m;
INSERT INTO read.source_syncs (epoch, workspace, source_id, last_completed_at, complete_through, grain, last_read_at, reads)
SELECT 1, w, pg_temp.id('50', w, n), '2026-11-22 11:50', '2026-11-22 11:45', '15m', '2026-11-22 11:50',
       '[{"to": "2026-11-22T11:45:00Z", "started_at": "2026-11-22T11:50:00Z"}]'
FROM generate_series(1, 20) w, generate_series(1, 20) n;
INSERT INTO read.source_runs
SELECT 1, w, pg_temp.id('50', w, s), 1000 + n, '2026-11-22 00:05'::timestamptz - n * interval '1 hour',
       '2026-11-22 00:00'::timestamptz - n * interval '1 hour',
       CASE WHEN n < 299 THEN '2026-11-18'::timestamptz - n * interval '1 hour' END,
       '2026-11-22'::timestamptz - n * interval '1 hour', false
FROM generate_series(1, 4) w, generate_series(1, 2) s, generate_series(0, 299) n;
INSERT INTO read.source_grains
SELECT 1, w, pg_temp.id('50', w, n), 'day', zone FROM generate_series(1, 20) w, generate_series(1, 20) n, unnest(ARRAY['UTC', 'Asia/Tokyo']) zone;
INSERT INTO read.campaign_sources
SELECT 1, workspace, campaign_id, s, n * 2 FROM filled, unnest(ARRAY[pushing, pulled, pg_temp.id('50', workspace, 3 + n % 18)]) s;

-- 70 days of clicks and impressions; in the last five of them by hours, in the last 36 hours by quarters.
INSERT INTO read.rollup_daily
SELECT 1, workspace, campaign_id, pushing, '2026-11-22'::timestamptz - d * interval '1 day', m, 10, '2026-11-22'
FROM counted, generate_series(0, 69) d, unnest(ARRAY['clicks', 'impressions']) m;
INSERT INTO read.rollup_hourly
SELECT 1, workspace, campaign_id, pushing, '2026-11-22 11:00'::timestamptz - h * interval '1 hour', m, 10, '2026-11-22'
FROM counted, generate_series(0, 119) h, unnest(ARRAY['clicks', 'impressions']) m WHERE workspace = 1 OR h < 40;
INSERT INTO read.rollup_15m
SELECT 1, workspace, campaign_id, pushing, '2026-11-22 11:45'::timestamptz - q * interval '15 minutes', m, 10, '2026-11-22'
FROM counted, generate_series(0, 143) q, unnest(ARRAY['clicks', 'impressions']) m WHERE workspace = 1 OR q < 60;
INSERT INTO read.statements
SELECT 1, workspace, campaign_id, pulled, 'spend', 'day', 'UTC', at, at + interval '1 day', at::date, 1000000, at, 100, at
FROM filled, generate_series(0, 34) d, LATERAL (SELECT '2026-11-22'::timestamptz - d * interval '1 day') b (at)
WHERE n <= CASE workspace WHEN 1 THEN 400 ELSE 20 END;
INSERT INTO read.dimension_totals
SELECT 1, workspace, k, campaign_id, pushing, '2026-11-22 09:00'::timestamptz - d * interval '1 day', v, 'clicks', 5, '2026-11-22'
FROM counted, generate_series(0, 69) d, unnest(ARRAY['country', 'device']) k, unnest(ARRAY['A', 'B']) v;

INSERT INTO read.corrections
SELECT 1, workspace, campaign_id, '2026-11-20 10:00'::timestamptz - c * interval '15 minutes', 1000 + c, 0, pushing, 'click', 'o' || c,
       '2026-11-20 10:00', 'c' || c, '2026-11-21', '2026-11-21', -1, NULL, 4, NULL
FROM counted, generate_series(1, 40) c;
INSERT INTO read.activity
SELECT 1, workspace, campaign_id, p, CASE p WHEN 1 THEN 'created' ELSE 'changed' END, '2026-11-20', NULL,
       pg_temp.id('ff', workspace, 1)::text, NULL, NULL, NULL, '{"name": "x"}', 'key'
FROM counted, generate_series(1, 40) p;
INSERT INTO read.activity
SELECT 1, workspace, campaign_id, 1, 'created', '2026-11-20', NULL, NULL, NULL, NULL, NULL, '{"name": "x"}' FROM filled f
WHERE NOT EXISTS (SELECT FROM counted c WHERE c.campaign_id = f.campaign_id);
INSERT INTO read.scope_marks
SELECT 1, workspace, scope, n FROM filled,
     unnest(ARRAY['campaign:' || campaign_id, 'campaign:' || campaign_id || ':2026-11', 'campaign:' || campaign_id || ':2026-10']) scope;
INSERT INTO read.scope_marks SELECT 1, w, 'month:' || m, 9 FROM generate_series(1, 4) w, unnest(ARRAY['2026-09', '2026-10', '2026-11']) m;
INSERT INTO read.scope_marks SELECT 1, w, 'source:' || pg_temp.id('50', w, n), 9 FROM generate_series(1, 20) w, generate_series(1, 20) n;
INSERT INTO read.parked (projection, epoch, workspace, stream_type, stream_id, campaign_id, position, sequence, waiting, last_position, reason)
SELECT 'campaign_model', 1, w, 'observation', w || '/' || n, NULL, n, 1, 1, n, 'cannot be applied'
FROM generate_series(2, 20) w, generate_series(1, 10) n;

-- The same in the other epoch.
DO $$
DECLARE
    name text;
    columns text;
BEGIN
    FOREACH name IN ARRAY (SELECT tables FROM read.epochs WHERE epoch = 1) LOOP
        columns := (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a
                    WHERE a.attrelid = ('read.' || name)::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> 'epoch');
        EXECUTE format('INSERT INTO read.%I (epoch, %s) SELECT 2, %s FROM read.%I WHERE epoch = 1', name, columns, columns, name);
    END LOOP;
END $$;
