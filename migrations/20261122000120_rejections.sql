-- Items that were not taken, kept so that they can be taken later. They are no events: they have no position, and nothing is
-- computed from them. What an item says is sealed under the key of the day on which it was received, and so is the digest by
-- which it is found again. One partition per day, dropped whole.
CREATE TABLE log.rejections (
    workspace   integer NOT NULL,
    day         date NOT NULL,
    source      text COLLATE "C" NOT NULL,
    digest      bytea NOT NULL,
    id          uuid NOT NULL,
    reason      text COLLATE "C" NOT NULL,
    received_at timestamptz NOT NULL,
    accepted_at timestamptz,
    sealed      bytea NOT NULL,
    PRIMARY KEY (workspace, source, digest, day)
) PARTITION BY RANGE (day);
-- Ids are made from the time of receipt: their order is that of the items.
CREATE UNIQUE INDEX rejections_by_id ON log.rejections (workspace, id, day);
-- For the totals, from the index alone.
CREATE INDEX rejections_by_reason ON log.rejections (workspace, source, reason, received_at) INCLUDE (day)
    WHERE accepted_at IS NULL;

-- How much of a workspace's day is kept, and how many items there was no room for. Its row is locked while items are added.
CREATE TABLE log.rejection_days (
    workspace integer NOT NULL,
    day       date NOT NULL,
    items     integer NOT NULL DEFAULT 0,
    bytes     bigint NOT NULL DEFAULT 0,
    not_kept  bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (workspace, day)
);

-- The key of a day. Without it, nothing of the day can be read. Wrapped: sealed itself, under a key that is in no database.
CREATE TABLE log.rejection_keys (
    day     date PRIMARY KEY,
    wrapped boolean NOT NULL,
    key     bytea NOT NULL
);

-- The partitions of a day, as before, and that of rejections.
CREATE OR REPLACE FUNCTION log.ensure_day(wanted date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    parent text;
    part   text;
    bounds text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('highwater.ensure_day'));
    FOREACH parent IN ARRAY ARRAY['item_ids', 'receipts', 'item_batches', 'rejections'] LOOP
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

GRANT SELECT, INSERT, UPDATE, DELETE ON log.rejections TO highwater_command;
GRANT SELECT, INSERT, UPDATE ON log.rejection_days TO highwater_command;
GRANT SELECT, INSERT ON log.rejection_keys TO highwater_command;
