-- The locked part of the log: one call appends a batch of requests, judged in arrival order, in one round trip.
-- The call is a transaction of its own (READ COMMITTED). Locks are taken in one order everywhere: item ids sorted by
-- workspace, day and id, then heads by workspace.
--
-- Nearly every batch is plain: nothing in it contradicts the log or its neighbours. So whoever sends it works out what each
-- request leaves behind if all are accepted, and log.append checks what that rests on and writes it, in a handful of
-- statements. What a unique index refuses anyway is not looked up before. If anything is otherwise, all of it is undone, and
-- log.judge (another migration) goes through the requests one by one.
--
-- A plan must not depend on what the tables held when it was made: they start empty and grow by thousands of rows a
-- second, faster than statistics follow. So every look-up goes through its key (no other way of reading is left enabled, and
-- LIMIT 1 keeps a look-up from becoming a join that could be turned around), and every plan is made once for all parameters.
-- Settings on a function cost 6 microseconds each at every call: a session that appends makes its own once.

CREATE FUNCTION log.find_claims(of_workspace integer, kinds text[], keys text[])
RETURNS TABLE (kind text, key text, owner text, state text)
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off AS $$
BEGIN
    RETURN QUERY
    SELECT held.kind, held.key, held.owner, held.state
    FROM generate_series(1, cardinality(kinds)) AS wanted(n)
    CROSS JOIN LATERAL (
        SELECT stored.kind, stored.key, stored.owner, stored.state FROM log.claims stored
        WHERE stored.workspace = of_workspace AND stored.kind = kinds[wanted.n] AND stored.key = keys[wanted.n]
        LIMIT 1) AS held;
END $$;

-- A receipt answers for two days. One of tomorrow was written by a process whose clock is ahead.
CREATE FUNCTION log.find_receipt(of_workspace integer, of_key text, today date)
RETURNS TABLE (digest bytea, response text, version bigint, "position" bigint, duplicates integer[], conflicts integer[])
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off AS $$
BEGIN
    RETURN QUERY
    SELECT kept.digest, kept.response, kept.version, kept.position, kept.duplicates, kept.conflicts
    FROM log.receipts kept
    WHERE kept.workspace = of_workspace AND kept.key = of_key AND kept.recorded_on BETWEEN today - 2 AND today + 1
    ORDER BY kept.recorded_on DESC LIMIT 1;
END $$;

-- Which of these ids are taken in a range of days, by whom, and where the event is that holds the item.
CREATE FUNCTION log.find_items(of_workspace integer, ids uuid[], first_days date[], last_days date[])
RETURNS TABLE (id uuid, day date, fingerprint bigint, "position" bigint)
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off AS $$
BEGIN
    RETURN QUERY
    SELECT held.id, held.day, held.fingerprint, held.position
    FROM generate_series(1, cardinality(ids)) AS wanted(n)
    CROSS JOIN LATERAL (
        SELECT taken.id, taken.day, taken.fingerprint,
               (SELECT found.position FROM log.item_batches found WHERE found.batch = taken.batch)
        FROM log.item_ids taken
        WHERE taken.workspace = of_workspace AND taken.id = ids[wanted.n]
          AND taken.day BETWEEN first_days[wanted.n] AND last_days[wanted.n]
        OFFSET 0) AS held (id, day, fingerprint, position);
END $$;

-- Of a plain batch one row: its heads and streams as they were before it. Otherwise one for each request. (A named type: columns
-- of the function's own would be looked up at every call.)
CREATE TYPE log.answer AS (
    head_positions    bigint[],
    stream_versions   bigint[],
    request           integer,
    outcome           text,             -- ok; duplicate: its receipt answers; conflict: refused
    reason            text,             -- of a conflict: workspace, receipt, version, item, claim
    at_version        bigint,
    at_position       bigint,
    stored_response   text,
    duplicate_items   integer[],
    conflicting_items integer[],
    failed_use        integer,          -- the use of a claim that failed, counted from 1 in the request
    found_owner       text,             -- what it found instead; NULL: nothing
    found_state       text
);

-- The arrays are tables by columns. Heads, streams, receipts and claims are distinct and numbered from 1, and what
-- mentions one of them holds its number.
CREATE FUNCTION log.append(
    head_workspace      integer[],      -- ascending
    stream_head         integer[],
    stream_type         text[],
    stream_id           text[],
    receipt_head        integer[],
    receipt_key         text[],
    receipt_day         date[],         -- the UTC day of the request
    claim_head          integer[],
    claim_kind          text[],
    claim_key           text[],
    -- The requests, in arrival order.
    request_stream      integer[],
    request_expected    bigint[],       -- NULL: any version
    request_events      integer[],      -- how many of the events below are the request's
    request_uses        integer[],      -- how many of the uses of claims
    request_items       integer[],      -- how many of the items
    request_metadata    json[],
    request_recorded_at timestamptz[],
    request_receipt     integer[],      -- NULL: none
    request_digest      bytea[],
    request_response    text[],
    -- Their events, in order. An event's payload is complete, with all its items.
    event_type          text[],
    event_version       text[],
    event_payload       json[],
    event_items         integer[],      -- how many of the items; 0 if they cannot be taken
    event_first_item    integer[],      -- the number of its first item in the request, from 0
    -- What they assert and change of claims, in order.
    use_claim           integer[],
    use_expect          text[],         -- any, absent, held
    use_expect_owner    text[],
    use_expect_state    text[],
    use_then            text[],         -- keep, put, remove
    use_owner           text[],
    use_state           text[],
    -- Their items, in order: where each one is in its event's payload, in bytes.
    item_offset         integer[],
    item_length         integer[],
    -- The items' ids, by workspace, day and id, each once.
    key_head            integer[],
    key_day             date[],
    key_id              uuid[],
    key_fingerprint     bigint[],
    key_request         integer[],
    key_item            integer[],
    key_event           integer[],
    key_needed          boolean[],      -- the request rests on it being fresh: if it is taken, the request is refused
    -- Items that requests rest on: taken with this fingerprint, by an earlier request or by the same.
    seen_head           integer[],
    seen_day            date[],
    seen_id             uuid[],
    seen_fingerprint    bigint[],
    seen_request        integer[],
    -- What it comes to if every request is accepted; nothing of it is read otherwise.
    is_plain            boolean,        -- nothing in it contradicts its neighbours, nor rests on items seen; receipts are of one day
    head_events         integer[],      -- how many events are written
    head_recorded_at    timestamptz[],  -- of the last one
    stream_expected     bigint[],       -- the version that its requests rest on; NULL: any
    streams_are_new     boolean,        -- all are expected to be empty and get events: one that is not collides
    request_version     integer[],      -- how far it and its predecessors move the stream
    request_position    integer[],      -- how far they move the head
    event_request       integer[],
    event_sequence      integer[],      -- how far behind the stream's version
    event_position      integer[],      -- how far behind the head
    event_batch         bigint[],       -- the first batch number of its day; NULL: without items that can be taken
    checked_uses        integer[],      -- uses whose expectation must be looked up
    taking_uses         integer[],      -- uses of claims that nobody holds, after which they are held: one that is held collides
    putting_uses        integer[],      -- other uses that decide what is held at the end
    removing_uses       integer[]       -- uses that decide that nothing is
) RETURNS SETOF log.answer
LANGUAGE plpgsql AS $$
DECLARE
    head_position   bigint[] := '{}';
    position_before bigint;
    stream_version  bigint[];
    item_batch      bigint[];
    items_written   bigint;
    answer          log.answer;
BEGIN
    IF cardinality(key_id) > 0 THEN
        item_batch := ARRAY(SELECT first_batch + nextval('log.item_batch') FROM unnest(event_batch) AS first_batch);
    END IF;

    IF is_plain THEN
        BEGIN
            -- Item ids first, in their order and without holding a head: the unique index makes twins wait for each other.
            IF cardinality(key_id) > 0 THEN
                INSERT INTO log.item_ids (workspace, day, id, fingerprint, batch)
                SELECT head_workspace[key_head[n]], key_day[n], key_id[n], key_fingerprint[n], item_batch[key_event[n]]
                FROM generate_series(1, cardinality(key_id)) AS n;
            END IF;

            -- The heads, in statements of their own: those after them see what the holders before us committed.
            FOR n IN 1 .. cardinality(head_workspace) LOOP
                UPDATE log.heads
                SET position = heads.position + head_events[n],
                    recorded_at = coalesce(head_recorded_at[n], heads.recorded_at)
                WHERE heads.workspace = head_workspace[n]
                RETURNING heads.position - head_events[n] INTO STRICT position_before;
                head_position := head_position || position_before;
            END LOOP;

            IF streams_are_new THEN
                stream_version := stream_expected;
            ELSE
                stream_version := ARRAY(
                    SELECT coalesce((SELECT stored.sequence FROM log.events stored
                                     WHERE stored.aggregate_type = stream_type[n] AND stored.aggregate_id = stream_id[n]
                                       AND stored.workspace = head_workspace[stream_head[n]]
                                     ORDER BY stored.sequence DESC LIMIT 1), 0)
                    FROM generate_series(1, cardinality(stream_id)) AS n);
                IF EXISTS (SELECT FROM unnest(stream_version, stream_expected) AS stream (version, expected)
                           WHERE stream.version <> stream.expected) THEN
                    RAISE 'a stream has moved' USING ERRCODE = 'HW001';
                END IF;
            END IF;

            -- A receipt of the same day collides.
            IF cardinality(receipt_key) > 0 AND EXISTS (
                SELECT FROM generate_series(1, cardinality(receipt_key)) AS wanted(n)
                CROSS JOIN LATERAL (
                    SELECT FROM log.receipts earlier
                    WHERE earlier.workspace = head_workspace[receipt_head[wanted.n]] AND earlier.key = receipt_key[wanted.n]
                      AND earlier.recorded_on BETWEEN receipt_day[1] - 2 AND receipt_day[1] - 1
                    UNION ALL
                    SELECT FROM log.receipts later
                    WHERE later.workspace = head_workspace[receipt_head[wanted.n]] AND later.key = receipt_key[wanted.n]
                      AND later.recorded_on = receipt_day[1] + 1
                    LIMIT 1) AS stored) THEN
                RAISE 'a receipt is there' USING ERRCODE = 'HW001';
            END IF;

            IF cardinality(checked_uses) > 0 AND EXISTS (
                SELECT FROM unnest(checked_uses) AS checked(n)
                LEFT JOIN LATERAL (
                    SELECT stored.owner, stored.state FROM log.claims stored
                    WHERE stored.workspace = head_workspace[claim_head[use_claim[checked.n]]]
                      AND stored.kind = claim_kind[use_claim[checked.n]] AND stored.key = claim_key[use_claim[checked.n]]
                    LIMIT 1) AS held ON true
                WHERE CASE use_expect[checked.n]
                          WHEN 'absent' THEN held.owner IS NOT NULL
                          WHEN 'held' THEN held.owner IS DISTINCT FROM use_expect_owner[checked.n]
                                           OR held.state IS DISTINCT FROM use_expect_state[checked.n]
                      END) THEN
                RAISE 'a claim has changed' USING ERRCODE = 'HW001';
            END IF;

            -- One statement: to start one costs as much as several of its rows.
            WITH written_events AS (
                INSERT INTO log.events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata,
                                        workspace, position, recorded_at)
                SELECT stream_type[written_to.stream], stream_id[written_to.stream],
                       stream_version[written_to.stream] + event_sequence[written_to.n],
                       event_type[written_to.n], event_version[written_to.n], event_payload[written_to.n],
                       request_metadata[written_to.request], head_workspace[stream_head[written_to.stream]],
                       head_position[stream_head[written_to.stream]] + event_position[written_to.n],
                       request_recorded_at[written_to.request]
                FROM (SELECT n, event_request[n] AS request, request_stream[event_request[n]] AS stream
                      FROM generate_series(1, cardinality(event_type)) AS n) AS written_to
            ), taken_claims AS (
                INSERT INTO log.claims (workspace, kind, key, owner, state)
                SELECT head_workspace[claim_head[use_claim[n]]], claim_kind[use_claim[n]], claim_key[use_claim[n]],
                       use_owner[n], use_state[n]
                FROM unnest(taking_uses) AS n
            )
            INSERT INTO log.receipts (workspace, key, recorded_on, digest, response, version, position, duplicates, conflicts,
                                      recorded_at)
            SELECT head_workspace[stream_head[request_stream[n]]], receipt_key[request_receipt[n]],
                   receipt_day[request_receipt[n]], request_digest[n], request_response[n],
                   stream_version[request_stream[n]] + request_version[n],
                   head_position[stream_head[request_stream[n]]] + request_position[n], '{}', '{}', request_recorded_at[n]
            FROM generate_series(1, cardinality(request_stream)) AS n
            WHERE request_receipt[n] IS NOT NULL;

            IF cardinality(key_id) > 0 THEN
                INSERT INTO log.item_batches (batch, position)
                SELECT item_batch[n], head_position[stream_head[request_stream[event_request[n]]]] + event_position[n]
                FROM generate_series(1, cardinality(event_type)) AS n
                WHERE item_batch[n] IS NOT NULL;
            END IF;
            IF cardinality(putting_uses) > 0 THEN
                INSERT INTO log.claims (workspace, kind, key, owner, state)
                SELECT head_workspace[claim_head[use_claim[n]]], claim_kind[use_claim[n]], claim_key[use_claim[n]],
                       use_owner[n], use_state[n]
                FROM unnest(putting_uses) AS n
                ON CONFLICT (workspace, kind, key) DO UPDATE SET owner = excluded.owner, state = excluded.state;
            END IF;
            IF cardinality(removing_uses) > 0 THEN
                FOR n IN 1 .. cardinality(removing_uses) LOOP
                    DELETE FROM log.claims
                    WHERE claims.workspace = head_workspace[claim_head[use_claim[removing_uses[n]]]]
                      AND claims.kind = claim_kind[use_claim[removing_uses[n]]]
                      AND claims.key = claim_key[use_claim[removing_uses[n]]];
                END LOOP;
            END IF;

            answer.head_positions := head_position;
            answer.stream_versions := stream_version;
            RETURN NEXT answer;
            RETURN;
        EXCEPTION WHEN unique_violation OR no_data_found OR SQLSTATE 'HW001' THEN
            -- Something is otherwise than foreseen, and nothing of it is written.
        END;
    END IF;

    items_written := 0;
    IF cardinality(key_id) > 0 THEN
        INSERT INTO log.item_ids (workspace, day, id, fingerprint, batch)
        SELECT head_workspace[key_head[n]], key_day[n], key_id[n], key_fingerprint[n], item_batch[key_event[n]]
        FROM generate_series(1, cardinality(key_id)) AS n
        ON CONFLICT DO NOTHING;
        GET DIAGNOSTICS items_written = ROW_COUNT;
    END IF;
    RETURN QUERY SELECT * FROM log.judge(
        head_workspace, stream_head, stream_type, stream_id, receipt_head,
        receipt_key, receipt_day, claim_head, claim_kind, claim_key,
        request_stream, request_expected, request_events, request_uses, request_items,
        request_metadata, request_recorded_at, request_receipt, request_digest, request_response,
        event_type, event_version, event_payload, event_items, event_first_item,
        use_claim, use_expect, use_expect_owner, use_expect_state, use_then,
        use_owner, use_state, item_offset, item_length, key_head,
        key_day, key_id, key_fingerprint, key_request, key_item,
        key_event, key_needed, seen_head, seen_day, seen_id,
        seen_fingerprint, seen_request,
        item_batch, items_written < cardinality(key_id));
END $$;

-- The log is written by the command role alone.
DO $$
DECLARE writing regprocedure;
BEGIN
    FOR writing IN SELECT p.oid FROM pg_proc p WHERE p.pronamespace = 'log'::regnamespace LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', writing);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO highwater_command', writing);
    END LOOP;
END $$;
