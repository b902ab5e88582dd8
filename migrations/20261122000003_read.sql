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
CREATE INDEX campaigns_by_name ON read.campaigns (epoch, workspace, name, campaign_id);
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
CREATE INDEX campaign_sources_by_source ON read.campaign_sources (epoch, workspace, source_id);
CREATE INDEX campaign_sources_by_position ON read.campaign_sources (epoch, workspace, position);

-- Pushed observations, summed into 15-minute UTC buckets. Values are whole numbers in the measure's smallest unit
-- (counts; millionths of a conversion; micros of the source's currency). changed_at: recorded_at of the last event that touched the cell.
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

-- Registers a new epoch and makes its partitions. Attached rather than created in place: ATTACH lets readers and
-- writers of other epochs go on, and the CHECK spares it the scan. Rows are updated in place a lot: the free space in
-- their pages keeps that away from the indexes (HOT).
CREATE FUNCTION read.create_epoch(wanted_projection text, wanted_tables text[], built_version integer DEFAULT 1) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    parent text;
    child  text;
    made   integer;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('highwater.epochs'));
    INSERT INTO read.epochs (projection, epoch, state, version, tables)
    SELECT wanted_projection, coalesce(max(e.epoch), 0) + 1, 'building', built_version, wanted_tables
    FROM read.epochs e WHERE e.projection = wanted_projection
    RETURNING epoch INTO made;
    FOREACH parent IN ARRAY wanted_tables LOOP
        child := parent || '_e' || made;
        EXECUTE format('CREATE TABLE read.%I (LIKE read.%I INCLUDING ALL, CHECK (epoch = %s)) WITH (fillfactor = 80)', child, parent, made);
        EXECUTE format('ALTER TABLE read.%I ATTACH PARTITION read.%I FOR VALUES IN (%s)', parent, child, made);
    END LOOP;
    RETURN made;
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
