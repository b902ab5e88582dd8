-- The log: one per workspace, append-only, ordered by a contiguous position.
-- Written by log.append (next migration) and read by position; nothing else touches it.

CREATE SCHEMA log;

-- One role per part. Processes log in as one user and SET ROLE to the part that they are.
-- Roles belong to the cluster, not to the database, so another database may have made them already.
DO $$
DECLARE part text;
BEGIN
    FOREACH part IN ARRAY ARRAY['highwater_command', 'highwater_projector', 'highwater_read'] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', part);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
        BEGIN
            EXECUTE format('GRANT %I TO CURRENT_USER', part);
        EXCEPTION WHEN unique_violation THEN
            NULL;
        END;
    END LOOP;
END $$;

-- A workspace is a tenant. Its number is short on purpose: it leads every key.
CREATE TABLE log.workspaces (
    workspace  integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    name       text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL
);

-- The head row is the lock that orders a log: an append takes it, numbers its events, and moves it.
-- The free space keeps each move on its own page, without an index entry (HOT).
CREATE TABLE log.heads (
    workspace   integer PRIMARY KEY REFERENCES log.workspaces,
    position    bigint NOT NULL DEFAULT 0 CHECK (position >= 0),
    recorded_at timestamptz
) WITH (fillfactor = 10);

-- The columns of postgres-es, then ours. aggregate_id is '<workspace>/<id>', so no load can cross workspaces.
-- json, not jsonb: appends faster, reads back verbatim. Hash partitions spread workspaces, and let one be placed elsewhere later.
CREATE TABLE log.events (
    aggregate_type text COLLATE "C" NOT NULL,
    aggregate_id   text COLLATE "C" NOT NULL,
    sequence       bigint NOT NULL,
    event_type     text NOT NULL,
    event_version  text NOT NULL,
    payload        json NOT NULL,
    metadata       json NOT NULL,
    workspace      integer NOT NULL,
    position       bigint NOT NULL,
    recorded_at    timestamptz NOT NULL,
    PRIMARY KEY (workspace, position),
    UNIQUE (aggregate_type, aggregate_id, sequence, workspace)
) PARTITION BY HASH (workspace);

-- A large payload is compressed while the head is held. lz4 takes a fifth of the default's time for the same size, and a
-- third of it to read; a server built without it keeps the default.
DO $$
BEGIN
    ALTER TABLE log.events ALTER COLUMN payload SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    NULL;
END $$;

DO $$
BEGIN
    FOR part IN 0..7 LOOP
        EXECUTE format('CREATE TABLE log.events_%s PARTITION OF log.events FOR VALUES WITH (MODULUS 8, REMAINDER %s)', part, part);
    END LOOP;
END $$;

-- What a request was answered, kept so that the same key gets the same answer. One partition per day, dropped whole.
-- The head lock serialises twins of one workspace, so uniqueness across days needs no index of its own.
CREATE TABLE log.receipts (
    workspace   integer NOT NULL,
    key         text COLLATE "C" NOT NULL,
    recorded_on date NOT NULL,
    digest      bytea NOT NULL,
    response    text NOT NULL,
    version     bigint,
    position    bigint NOT NULL,
    duplicates  integer[] NOT NULL,
    conflicts   integer[] NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (workspace, key, recorded_on)
) PARTITION BY RANGE (recorded_on);

-- What a decision must look up or keep unique: a generic row that an append asserts, takes or releases.
CREATE TABLE log.claims (
    workspace integer NOT NULL,
    kind      text COLLATE "C" NOT NULL,
    key       text COLLATE "C" NOT NULL,
    owner     text NOT NULL,
    state     text NOT NULL,
    PRIMARY KEY (workspace, kind, key)
);

-- Ids of items already taken, by the UTC day of the item: the unique index serialises twins, and a day is dropped whole.
-- id is a 128-bit digest of what must be unique; fingerprint tells a duplicate from a conflict; batch leads to the event.
CREATE TABLE log.item_ids (
    workspace   integer NOT NULL,
    day         date NOT NULL,
    id          uuid NOT NULL,
    fingerprint bigint NOT NULL,
    batch       bigint NOT NULL,
    PRIMARY KEY (workspace, id, day)
) PARTITION BY RANGE (day);

-- Where the event is that holds a batch of items. Ids are taken before the head is, when their event has no position yet,
-- so they name a batch. Its high bits are the UTC day of the request (log.first_batch), and a day is dropped whole.
CREATE TABLE log.item_batches (
    batch    bigint PRIMARY KEY,
    position bigint NOT NULL
) PARTITION BY RANGE (batch);

CREATE SEQUENCE log.item_batch MAXVALUE 281474976710655 CYCLE CACHE 32;

-- The lowest number of a batch of this day: 48 bits are left for the sequence.
CREATE FUNCTION log.first_batch(of_day date) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT (of_day - date '1970-01-01')::bigint << 48 $$;

-- Makes the day partitions of receipts, item ids and batches. Called before the first append that needs a day, in a transaction of
-- its own. A partition is made beside its parent and then attached, which waits for no append and stops none; the
-- parents are taken in the order in which an append uses them.
CREATE FUNCTION log.ensure_day(wanted date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    parent text;
    part   text;
    bounds text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('highwater.ensure_day'));
    FOREACH parent IN ARRAY ARRAY['item_ids', 'receipts', 'item_batches'] LOOP
        part := parent || to_char(wanted, '_YYYYMMDD');
        IF to_regclass(format('log.%I', part)) IS NULL THEN
            EXECUTE format('CREATE TABLE log.%I (LIKE log.%I INCLUDING ALL)', part, parent);
            bounds := CASE parent WHEN 'item_batches'
                THEN format('FROM (%s) TO (%s)', log.first_batch(wanted), log.first_batch(wanted + 1))
                ELSE format('FROM (%L) TO (%L)', wanted, wanted + 1) END;
            EXECUTE format('ALTER TABLE log.%I ATTACH PARTITION log.%I FOR VALUES %s', parent, part, bounds);
        END IF;
    END LOOP;
END $$;
