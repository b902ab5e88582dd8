-- Names that say what a table holds: sums of observations are rollups, by the length of their buckets. Data, owners and
-- rights stay as they are. What was made at run time is renamed too: partitions of epochs and months, with their indexes
-- and constraints. Programs of the older names fail on the newer ones, so stop all of them before this.
DO $$
DECLARE
    renaming text[];
    found    record;
BEGIN
    FOREACH renaming SLICE 1 IN ARRAY ARRAY[
        ['increments', 'rollup_15m'],
        ['hourly_increments', 'rollup_hourly'],
        ['daily_increments', 'rollup_daily'],
        ['stops', 'stopped_logs'],
        ['source_cuts', 'source_grains'],
        ['skips', 'skipped_events']
    ] LOOP
        -- An index takes the constraint that it stands for along.
        FOR found IN
            SELECT c.relname AS name, CASE WHEN c.relkind IN ('i', 'I') THEN 'INDEX' ELSE 'TABLE' END AS kind
            FROM pg_class c
            WHERE c.relnamespace = 'read'::regnamespace AND c.relkind IN ('r', 'p', 'i', 'I')
              AND (c.relname = renaming[1] OR starts_with(c.relname, renaming[1] || '_'))
        LOOP
            EXECUTE format('ALTER %s read.%I RENAME TO %I', found.kind, found.name,
                renaming[2] || substr(found.name, length(renaming[1]) + 1));
        END LOOP;
        -- Partitions take the names of the constraints that they inherit.
        FOR found IN
            SELECT c.conrelid::regclass AS owner, c.conname AS name
            FROM pg_constraint c
            WHERE c.connamespace = 'read'::regnamespace AND c.contype IN ('c', 'f') AND c.coninhcount = 0
              AND starts_with(c.conname, renaming[1] || '_')
        LOOP
            EXECUTE format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I', found.owner, found.name,
                renaming[2] || substr(found.name, length(renaming[1]) + 1));
        END LOOP;
        UPDATE read.epochs SET tables = array_replace(tables, renaming[1], renaming[2]) WHERE renaming[1] = ANY (tables);
        UPDATE read.retention SET table_name = renaming[2] WHERE table_name = renaming[1];
        UPDATE read.epoch_retention SET table_name = renaming[2] WHERE table_name = renaming[1];
    END LOOP;
END $$;

CREATE OR REPLACE FUNCTION read.monthly_tables() RETURNS text[]
LANGUAGE sql IMMUTABLE AS $$
    SELECT ARRAY['rollup_15m', 'rollup_hourly', 'rollup_daily', 'dimension_totals']
$$;
-- The tables whose retention deletes row by row.
ALTER FUNCTION read.tables_by_row() RENAME TO row_retention_tables;

-- The leaderboard names tables in literals, too. PostgreSQL replaces no materialized view, so it is made anew: the same
-- query with the new names.
DO $$
DECLARE
    query text := pg_get_viewdef('read.leaderboard'::regclass);
BEGIN
    query := replace(query, quote_literal('increments'), quote_literal('rollup_15m'));
    query := replace(query, quote_literal('hourly_increments'), quote_literal('rollup_hourly'));
    query := replace(query, quote_literal('daily_increments'), quote_literal('rollup_daily'));
    DROP MATERIALIZED VIEW read.leaderboard;
    EXECUTE 'CREATE MATERIALIZED VIEW read.leaderboard AS ' || query;
END $$;
-- As before: the key for REFRESH CONCURRENTLY, pages in order of rank, and the few rows that an answer warns of.
CREATE UNIQUE INDEX leaderboard_key ON read.leaderboard (workspace, days, measure, campaign_id);
CREATE INDEX leaderboard_by_rank ON read.leaderboard (workspace, days, measure, currency, rank, campaign_id);
CREATE INDEX leaderboard_stated_otherwise ON read.leaderboard (workspace, days, measure)
    WHERE cardinality(sources) > 1 OR uncut IS NOT NULL;
CREATE INDEX leaderboard_without_rank ON read.leaderboard (workspace, days, measure) WHERE value IS NULL;
ALTER MATERIALIZED VIEW read.leaderboard OWNER TO highwater_projector;
GRANT SELECT ON read.leaderboard TO highwater_read;

-- Appends the requests of a batch one after the other, each as its predecessors left it.
ALTER FUNCTION log.judge RENAME TO append_sequentially;
DO $$
BEGIN
    EXECUTE replace(pg_get_functiondef('log.append'::regproc), 'log.judge(', 'log.append_sequentially(');
END $$;
