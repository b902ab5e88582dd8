-- The read tables. Every table of a projection carries its epoch, and each epoch is a list partition:
-- a rebuild fills a new one beside the live one, and a workspace switches by changing one row.

CREATE SCHEMA read;

-- Built instances of projections. version: the projection's version in the code that fills it; a projector follows only
-- epochs of its own version. tables: what was made for it, so that it can be dropped whatever the code says by then.
-- building: a rebuild fills it; dropping: its checkpoints are gone and its tables may be.
CREATE TABLE read.epochs (
    projection text NOT NULL,
    epoch      integer NOT NULL,
    state      text NOT NULL CHECK (state IN ('building', 'applied', 'dropping')),
    version    integer NOT NULL DEFAULT 1,
    tables     text[] NOT NULL DEFAULT '{}',
    -- How many values of a dimension are kept per campaign and source. It decides which rows there are, so it never changes
    -- while the epoch lives: another limit comes with a rebuild.
    dimension_values integer NOT NULL DEFAULT 1000 CHECK (dimension_values > 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (projection, epoch)
);

-- The epoch that a workspace's readers see.
CREATE TABLE read.live_epochs (
    projection  text NOT NULL,
    workspace   integer NOT NULL,
    epoch       integer NOT NULL,
    PRIMARY KEY (projection, workspace),
    FOREIGN KEY (projection, epoch) REFERENCES read.epochs
);

-- How far an epoch has applied a log. A row that is not there means: nothing applied.
-- `following`: the projector keeps it up to date; otherwise a rebuild is filling it.
CREATE TABLE read.checkpoints (
    projection text NOT NULL,
    epoch      integer NOT NULL,
    workspace  integer NOT NULL,
    position   bigint NOT NULL CHECK (position >= 0),
    following  boolean NOT NULL,
    PRIMARY KEY (projection, epoch, workspace),
    FOREIGN KEY (projection, epoch) REFERENCES read.epochs
) WITH (fillfactor = 20);

-- Logs that a projection cannot get past: the event at `position` is missing or is refused, and why.
-- The row goes when the log moves on. It holds no result, so a rebuild need not repeat it.
CREATE TABLE read.stops (
    projection text NOT NULL,
    epoch      integer NOT NULL,
    workspace  integer NOT NULL,
    position   bigint NOT NULL,
    reason     text NOT NULL,
    stopped_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (projection, epoch, workspace),
    FOREIGN KEY (projection, epoch) REFERENCES read.epochs ON DELETE CASCADE
);

-- What is kept of the tables whose rows belong to a time (read.monthly_tables(), read.tables_by_row()). Stored, because rows depend on it: a rebuild writes what the
-- live epoch holds. keep_months: the rule, by which `before` moves on month by month (NULL: it stands). before: months
-- that begin earlier are not kept; always the first instant of a UTC month. The log is never touched.
CREATE TABLE read.retention (
    projection  text NOT NULL,
    table_name  text NOT NULL,
    keep_months integer CHECK (keep_months > 0),
    before      timestamptz,
    changed_at  timestamptz NOT NULL,
    PRIMARY KEY (projection, table_name),
    CHECK (before = date_trunc('month', before, 'UTC'))
);

-- What of it holds for an epoch. `before` never moves back here, because what was dropped is gone: only a new epoch, which
-- begins with what read.retention says, has those months again. changed_at moves the version of what reaches back so far.
-- set_by: the transaction, so that months are dropped only once no reader from before it is left.
CREATE TABLE read.epoch_retention (
    table_name text NOT NULL,
    epoch      integer NOT NULL,
    projection text NOT NULL,
    before     timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    set_by     xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (table_name, epoch),
    FOREIGN KEY (projection, epoch) REFERENCES read.epochs ON DELETE CASCADE,
    CHECK (before = date_trunc('month', before, 'UTC'))
);

-- How many values of a dimension the next epochs keep (read.epochs.dimension_values). No row: 1000.
CREATE TABLE read.dimension_limits (
    projection       text PRIMARY KEY,
    dimension_values integer NOT NULL CHECK (dimension_values > 0)
);

-- campaign_model: workspaces, campaigns, sources, metrics and scope marks, read together and so under one checkpoint.

CREATE TABLE read.workspaces (
    epoch     integer NOT NULL,
    workspace integer NOT NULL,
    name      text NOT NULL,
    time_zone text NOT NULL,
    currency  text NOT NULL,
    PRIMARY KEY (epoch, workspace)
) PARTITION BY LIST (epoch);

-- state is what was decided (draft, launched, paused, completed, archived);
-- the status shown is a function of it, of starts_at and of the clock.
CREATE TABLE read.campaigns (
    epoch         integer NOT NULL,
    workspace     integer NOT NULL,
    campaign_id   uuid NOT NULL,
    version       bigint NOT NULL,
    position      bigint NOT NULL,
    name          text NOT NULL,
    state         text NOT NULL,
    channels      text[] NOT NULL,
    currency      text NOT NULL,
    time_zone     text NOT NULL,
    starts_on     date NOT NULL,
    ends_on       date,
    starts_at     timestamptz NOT NULL,
    budget_micros bigint,
    -- In which time it may be spent: total or day. Null where there is none.
    budget_per    text,
    external_ids  json NOT NULL,
    attributes    json NOT NULL,
    created_at    timestamptz NOT NULL,
    changed_at    timestamptz NOT NULL,
    PRIMARY KEY (epoch, workspace, campaign_id)
) PARTITION BY LIST (epoch);
-- What lists are sorted by: a page is read where it begins, however many campaigns there are.
CREATE INDEX campaigns_by_name ON read.campaigns (epoch, workspace, name, campaign_id);
CREATE INDEX campaigns_by_creation ON read.campaigns (epoch, workspace, created_at, campaign_id);
CREATE INDEX campaigns_by_change ON read.campaigns (epoch, workspace, changed_at, campaign_id);
CREATE INDEX campaigns_by_first_day ON read.campaigns (epoch, workspace, starts_on, campaign_id);
-- The last event of any campaign, and the last instant at which the clock alone changed a status: one probe each, made for
-- every answer about many campaigns.
CREATE INDEX campaigns_by_position ON read.campaigns (epoch, workspace, position);
CREATE INDEX campaigns_by_start ON read.campaigns (epoch, workspace, starts_at) WHERE state = 'launched';

CREATE TABLE read.sources (
    epoch                 integer NOT NULL,
    workspace             integer NOT NULL,
    source_id             uuid NOT NULL,
    name                  text NOT NULL,
    channel               text NOT NULL,
    kind                  text NOT NULL,
    role                  text NOT NULL,
    measure_roles         json NOT NULL,
    time_zone             text NOT NULL,
    currency              text NOT NULL,
    expected_delay_s      bigint NOT NULL,
    restatement_horizon_s bigint NOT NULL,
    PRIMARY KEY (epoch, workspace, source_id)
) PARTITION BY LIST (epoch);

-- What a source has said of its own runs. A table of its own, because syncs are another stream than the registration,
-- and rows must not depend on the order between streams.
CREATE TABLE read.source_syncs (
    epoch             integer NOT NULL,
    workspace         integer NOT NULL,
    source_id         uuid NOT NULL,
    last_started_at   timestamptz,
    last_completed_at timestamptz,
    last_failed_at    timestamptz,
    failure_reason    text,
    complete_through  timestamptz,
    grain             text,
    PRIMARY KEY (epoch, workspace, source_id)
) PARTITION BY LIST (epoch);

-- Each advance of a source's completeness and when it was said: tells whether a later change came after the number was final.
CREATE TABLE read.source_completions (
    epoch            integer NOT NULL,
    workspace        integer NOT NULL,
    source_id        uuid NOT NULL,
    complete_through timestamptz NOT NULL,
    completed_at     timestamptz NOT NULL,
    PRIMARY KEY (epoch, workspace, source_id, complete_through)
) PARTITION BY LIST (epoch);

-- In which grains and zones a source states its totals: a number is as settled as the days and hours that it is made of.
CREATE TABLE read.source_cuts (
    epoch     integer NOT NULL,
    workspace integer NOT NULL,
    source_id uuid NOT NULL,
    grain     text NOT NULL,
    time_zone text NOT NULL,
    PRIMARY KEY (epoch, workspace, source_id, grain, time_zone)
) PARTITION BY LIST (epoch);

-- Which sources feed a campaign: those whose completeness its numbers wait for. position: the event by which the source
-- first did. It changes every answer about the campaign, also about months that the event did not touch.
CREATE TABLE read.campaign_sources (
    epoch       integer NOT NULL,
    workspace   integer NOT NULL,
    campaign_id uuid NOT NULL,
    source_id   uuid NOT NULL,
    position    bigint NOT NULL,
    PRIMARY KEY (epoch, workspace, campaign_id, source_id)
) PARTITION BY LIST (epoch);
CREATE INDEX campaign_sources_by_source ON read.campaign_sources (epoch, workspace, source_id, campaign_id);
CREATE INDEX campaign_sources_by_position ON read.campaign_sources (epoch, workspace, position);

-- Pushed observations, summed into 15-minute UTC buckets. Values are whole numbers in the measure's smallest unit
-- (counts; millionths of a conversion; micros of the source's currency). changed_at: the latest recorded_at of the events
-- that touched the cell. Partitioned by month, like all tables of read.monthly_tables().
CREATE TABLE read.increments (
    epoch       integer NOT NULL,
    workspace   integer NOT NULL,
    campaign_id uuid NOT NULL,
    source_id   uuid NOT NULL,
    bucket      timestamptz NOT NULL,
    measure     text NOT NULL,
    value       numeric(38, 0) NOT NULL,
    changed_at  timestamptz NOT NULL,
    PRIMARY KEY (epoch, workspace, campaign_id, source_id, bucket, measure)
) PARTITION BY LIST (epoch);
CREATE INDEX increments_by_bucket ON read.increments (epoch, workspace, bucket);

-- The same by UTC hour and by UTC day: what reports read whose edges all lie on those. A sum and a maximum of the quarters.
CREATE TABLE read.hourly_increments (LIKE read.increments INCLUDING ALL) PARTITION BY LIST (epoch);
-- A month of days is small: the key's prefix finds it.
CREATE TABLE read.daily_increments (LIKE read.increments, PRIMARY KEY (epoch, workspace, campaign_id, source_id, bucket, measure))
    PARTITION BY LIST (epoch);

-- Pushed observations by one dimension at a time, in 15-minute UTC buckets, so that they are exact in every time zone.
-- value: what the observation says; '(other)' for what lies beyond the values that read.dimension_values keeps. What names
-- no value of a dimension has no row of it: it is the rest up to read.increments.
CREATE TABLE read.dimension_totals (
    epoch       integer NOT NULL,
    workspace   integer NOT NULL,
    dimension   text NOT NULL,
    campaign_id uuid NOT NULL,
    source_id   uuid NOT NULL,
    bucket      timestamptz NOT NULL,
    value       text NOT NULL,
    measure     text NOT NULL,
    sum         numeric(38, 0) NOT NULL,
    changed_at  timestamptz NOT NULL,
    PRIMARY KEY (epoch, workspace, dimension, campaign_id, source_id, bucket, value, measure)
) PARTITION BY LIST (epoch);

-- The values of a dimension that are kept: the first ones that a source named of a campaign, in its stream's order. rank
-- counts them from 1. Not by month: whether a value is kept must not depend on the months that are.
CREATE TABLE read.dimension_values (
    epoch       integer NOT NULL,
    workspace   integer NOT NULL,
    campaign_id uuid NOT NULL,
    source_id   uuid NOT NULL,
    dimension   text NOT NULL,
    value       text NOT NULL,
    rank        integer NOT NULL,
    PRIMARY KEY (epoch, workspace, campaign_id, source_id, dimension, value)
) PARTITION BY LIST (epoch);
-- How many there are of each is its last rank: one probe.
CREATE UNIQUE INDEX dimension_values_by_rank ON read.dimension_values (epoch, workspace, campaign_id, source_id, dimension, rank);

-- What each correction of an observation did. bucket and occurred_at are the original's; position and item are the
-- correction's place in the log: its event, and the place among that event's observations, from 0. count and value are what
-- the original comes to with it, the changes what it added to increments; a value that stayed has a NULL change.
CREATE TABLE read.corrections (
    epoch         integer NOT NULL,
    workspace     integer NOT NULL,
    campaign_id   uuid NOT NULL,
    bucket        timestamptz NOT NULL,
    position      bigint NOT NULL,
    item          integer NOT NULL,
    source_id     uuid NOT NULL,
    type          text NOT NULL,
    original_id   text NOT NULL,
    occurred_at   timestamptz NOT NULL,
    correction_id text NOT NULL,
    corrected_at  timestamptz NOT NULL,
    recorded_at   timestamptz NOT NULL,
    count_change  bigint NOT NULL,
    value_change  bigint,
    count         bigint NOT NULL,
    value         bigint,
    PRIMARY KEY (epoch, workspace, campaign_id, bucket, position, item)
) PARTITION BY LIST (epoch);

-- What pull sources state: the newest (stated_at, position) per key. bucket_date is the local date of a day's bucket
-- in its zone; bucket_start and bucket_end are its instants.
CREATE TABLE read.statements (
    epoch        integer NOT NULL,
    workspace    integer NOT NULL,
    campaign_id  uuid NOT NULL,
    source_id    uuid NOT NULL,
    measure      text NOT NULL,
    grain        text NOT NULL,
    time_zone    text NOT NULL,
    bucket_start timestamptz NOT NULL,
    bucket_end   timestamptz NOT NULL,
    bucket_date  date,
    value        numeric(38, 0) NOT NULL,
    stated_at    timestamptz NOT NULL,
    position     bigint NOT NULL,
    changed_at   timestamptz NOT NULL,
    PRIMARY KEY (epoch, workspace, campaign_id, source_id, measure, grain, time_zone, bucket_start)
) PARTITION BY LIST (epoch);
CREATE INDEX statements_by_bucket ON read.statements (epoch, workspace, bucket_start);

-- The position of the last event that touched a scope. Never deleted, so that a version is the same after a restart
-- and on every process. Scopes: 'workspace', 'month:2026-11' (UTC), 'campaign:<id>', 'campaign:<id>:2026-11', 'source:<id>'.
CREATE TABLE read.scope_marks (
    epoch     integer NOT NULL,
    workspace integer NOT NULL,
    scope     text NOT NULL,
    position  bigint NOT NULL,
    PRIMARY KEY (epoch, workspace, scope)
) PARTITION BY LIST (epoch);

-- The tables whose epochs are partitioned by month of their buckets: most of the rows that there are, and what a retention
-- drops by the month.
CREATE FUNCTION read.monthly_tables() RETURNS text[]
LANGUAGE sql IMMUTABLE AS $$
    SELECT ARRAY['increments', 'hourly_increments', 'daily_increments', 'dimension_totals']
$$;

-- Of what else a retention keeps only the last months: the rows are few, may be years old, and are deleted one by one.
CREATE FUNCTION read.tables_by_row() RETURNS text[]
LANGUAGE sql IMMUTABLE AS $$
    SELECT ARRAY['corrections', 'statements']
$$;

-- Registers a new epoch and makes its partitions. Attached rather than created in place: ATTACH lets readers and
-- writers of other epochs go on, and the CHECK spares it the scan. Rows are updated in place a lot: the free space in
-- their pages keeps that away from the indexes (HOT). Months are made when something is to be written to them.
CREATE FUNCTION read.create_epoch(wanted_projection text, wanted_tables text[], built_version integer DEFAULT 1) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    parent text;
    child  text;
    made   integer;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('highwater.epochs'));
    INSERT INTO read.epochs (projection, epoch, state, version, tables, dimension_values)
    SELECT wanted_projection, coalesce(max(e.epoch), 0) + 1, 'building', built_version, wanted_tables,
           coalesce((SELECT l.dimension_values FROM read.dimension_limits l WHERE l.projection = wanted_projection), 1000)
    FROM read.epochs e WHERE e.projection = wanted_projection
    RETURNING epoch INTO made;
    INSERT INTO read.epoch_retention (table_name, epoch, projection, before, changed_at)
    SELECT r.table_name, made, r.projection, r.before, r.changed_at
    FROM read.retention r WHERE r.projection = wanted_projection AND r.before IS NOT NULL;
    FOREACH parent IN ARRAY wanted_tables LOOP
        child := parent || '_e' || made;
        EXECUTE format('CREATE TABLE read.%I (LIKE read.%I INCLUDING ALL, CHECK (epoch = %s)) %s', child, parent, made,
            CASE WHEN parent = ANY (read.monthly_tables()) THEN 'PARTITION BY RANGE (bucket)' ELSE 'WITH (fillfactor = 80)' END);
        EXECUTE format('ALTER TABLE read.%I ATTACH PARTITION read.%I FOR VALUES IN (%s)', parent, child, made);
    END LOOP;
    RETURN made;
END $$;

-- Where a month's rows are: the end of the table's name, and the bounds. Months that no clock of ours was ever in share a
-- partition on either side, so that one wild instant in a log does not make tables without end.
CREATE FUNCTION read.month_bounds(wanted_month timestamptz, OUT suffix text, OUT starts text, OUT ends text)
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog AS $$
DECLARE
    month timestamp := date_trunc('month', wanted_month AT TIME ZONE 'UTC');
BEGIN
    IF month < '2015-01-01' THEN
        suffix := 'before_2015'; starts := 'MINVALUE'; ends := quote_literal('2015-01-01 00:00:00+00');
    ELSIF month >= '2100-01-01' THEN
        suffix := 'from_2100'; starts := quote_literal('2100-01-01 00:00:00+00'); ends := 'MAXVALUE';
    ELSE
        suffix := to_char(month, 'YYYYMM');
        starts := quote_literal(to_char(month, 'YYYY-MM-DD') || ' 00:00:00+00');
        ends := quote_literal(to_char(month + interval '1 month', 'YYYY-MM-DD') || ' 00:00:00+00');
    END IF;
END $$;

-- Makes the months of an epoch's tables that are missing, in the transaction that is to write to them, and tells from when
-- on each table keeps rows (NULL: all). Earlier months are not made.
--
-- Neither readers nor writers wait for it: ATTACH conflicts with nothing that they hold, and all who make months take one
-- lock first, so that they never wait for each other in a circle. The lock on each table keeps its months from being
-- dropped between here and the write.
CREATE FUNCTION read.prepare_months(wanted_epoch integer, parents text[], months timestamptz[])
RETURNS TABLE (table_name text, before timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    child text;
    month timestamptz;
    part  record;
BEGIN
    FOREACH table_name IN ARRAY parents LOOP
        child := table_name || '_e' || wanted_epoch;
        EXECUTE format('LOCK TABLE ONLY read.%I IN ROW EXCLUSIVE MODE', child);
        before := (SELECT r.before FROM read.epoch_retention r WHERE r.table_name = prepare_months.table_name AND r.epoch = wanted_epoch);
        FOREACH month IN ARRAY months LOOP
            CONTINUE WHEN month < before;
            part := read.month_bounds(month);
            CONTINUE WHEN to_regclass(format('read.%I', child || '_' || part.suffix)) IS NOT NULL;
            PERFORM pg_advisory_xact_lock(hashtext('highwater.months'));
            CONTINUE WHEN to_regclass(format('read.%I', child || '_' || part.suffix)) IS NOT NULL;
            EXECUTE format('CREATE TABLE read.%I (LIKE read.%I INCLUDING ALL, CHECK (bucket >= %s AND bucket < %s)) WITH (fillfactor = 80)',
                child || '_' || part.suffix, child,
                CASE part.starts WHEN 'MINVALUE' THEN quote_literal('-infinity') ELSE part.starts END,
                CASE part.ends WHEN 'MAXVALUE' THEN quote_literal('infinity') ELSE part.ends END);
            EXECUTE format('ALTER TABLE read.%I ATTACH PARTITION read.%I FOR VALUES FROM (%s) TO (%s)',
                child, child || '_' || part.suffix, part.starts, part.ends);
        END LOOP;
        RETURN NEXT;
    END LOOP;
END $$;

-- The partitions of a table's epoch that hold nothing from `before` on.
CREATE FUNCTION read.months_before(parent text, wanted_epoch integer, before timestamptz) RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
    SELECT c.relname::text
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = to_regclass(format('read.%I', parent || '_e' || wanted_epoch))
      AND CASE substr(c.relname, length(parent || '_e' || wanted_epoch) + 2)
              WHEN 'before_2015' THEN before >= '2015-01-01 00:00:00+00'
              WHEN 'from_2100' THEN false
              ELSE substr(c.relname, length(parent || '_e' || wanted_epoch) + 2) < to_char(before AT TIME ZONE 'UTC', 'YYYYMM')
          END
    ORDER BY 1
$$;

-- Drops one month of an epoch's table, if it is still there and nothing in it is kept. It locks the epoch's table against
-- readers: the caller sets a short lock_timeout and tries again.
CREATE FUNCTION read.drop_month(parent text, dropped_epoch integer, part text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    IF EXISTS (SELECT FROM read.epoch_retention r CROSS JOIN LATERAL read.months_before(parent, dropped_epoch, r.before) AS m (name)
               WHERE r.table_name = parent AND r.epoch = dropped_epoch AND m.name = part) THEN
        EXECUTE format('DROP TABLE read.%I', part);
    END IF;
END $$;

-- Drops one partition of an epoch, if it is still there. DETACH locks the parent against readers: the caller sets a short
-- lock_timeout and tries again, so that nobody queues behind it for long.
CREATE FUNCTION read.drop_epoch_table(parent text, dropped_epoch integer) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    child text := parent || '_e' || dropped_epoch;
BEGIN
    IF to_regclass(format('read.%I', child)) IS NULL THEN
        RETURN;
    END IF;
    IF EXISTS (SELECT FROM pg_inherits WHERE inhrelid = to_regclass(format('read.%I', child))) THEN
        EXECUTE format('ALTER TABLE read.%I DETACH PARTITION read.%I', parent, child);
    END IF;
    EXECUTE format('DROP TABLE read.%I', child);
END $$;
