-- Judges the requests of a batch one by one, in arrival order, each as its predecessors left it: what log.append does with a
-- batch that is not plain. The caller has taken the item ids, and made the settings that keep plans by their keys.
--
-- Heads, streams, receipts and claims are numbered, so that "as its predecessors in the batch left it" is an array element.
CREATE FUNCTION log.judge(
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
    event_batch         bigint[],       -- NULL as a whole: no request has items that can be taken
    items_are_taken     boolean         -- not all of them were fresh
) RETURNS SETOF log.answer
LANGUAGE plpgsql AS $$
DECLARE
    requests constant integer := cardinality(request_stream);
    events   constant integer := cardinality(event_type);
    keys     constant integer := cardinality(key_id);
    -- Heads, streams, claims and receipts as the requests judged so far leave them. A NULL head: no such workspace.
    head_position      bigint[]  := array_fill(NULL::bigint, ARRAY[cardinality(head_workspace)]);
    head_recorded_at   timestamptz[] := array_fill(NULL::timestamptz, ARRAY[cardinality(head_workspace)]);
    stream_version     bigint[];
    claim_owner        text[]    := array_fill(NULL::text, ARRAY[cardinality(claim_key)]);
    claim_state        text[]    := claim_owner;
    claim_changed      boolean[] := array_fill(false, ARRAY[cardinality(claim_key)]);
    claim_stored       boolean[] := claim_changed;
    receipt_digest     bytea[]   := array_fill(NULL::bytea, ARRAY[cardinality(receipt_key)]);
    receipt_response   text[]    := array_fill(NULL::text, ARRAY[cardinality(receipt_key)]);
    receipt_version    bigint[]  := array_fill(NULL::bigint, ARRAY[cardinality(receipt_key)]);
    receipt_position   bigint[]  := receipt_version;
    receipt_duplicates text[]    := array_fill('{}'::text, ARRAY[cardinality(receipt_key)]);
    receipt_conflicts  text[]    := receipt_duplicates;
    receipt_request    integer[] := array_fill(NULL::integer, ARRAY[cardinality(receipt_key)]);
    -- Items: 0 fresh, 1 duplicate, 2 conflict. NULL as a whole while all are fresh.
    item_state         smallint[];
    request_taken      boolean[];
    -- Requests that rest on an item that is not as they saw it.
    request_misled     boolean[];
    -- Events: a NULL position is not written.
    event_request      integer[] := array_fill(NULL::integer, ARRAY[events]);
    event_sequence     bigint[]  := array_fill(NULL::bigint, ARRAY[events]);
    event_position     bigint[]  := event_sequence;
    request_refused    boolean[] := array_fill(true, ARRAY[requests]);
    -- Where the loops are.
    next_event   integer := 1;
    next_use     integer := 1;
    next_item    integer := 1;
    first_event  integer;
    first_use    integer;
    item         integer;
    head         integer;
    stream       integer;
    claim        integer;
    receipt      integer;
    version      bigint;
    last         bigint;
    first_day    date;
    last_day     date;
    a_day        date;
    whole        bytea;
    accepted     bytea;
    writes_receipts boolean := false;
    changes_claims  boolean := false;
    stored_claims   boolean := false;
    frees_ids       boolean := false;
    hit          record;
    answer       log.answer;
BEGIN
    -- An id is ours if it leads to our batch.
    IF items_are_taken THEN
        item_state := array_fill(0::smallint, ARRAY[cardinality(item_offset)]);
        FOR hit IN
            SELECT wanted.n, held.fingerprint
            FROM generate_series(1, keys) AS wanted(n)
            CROSS JOIN LATERAL (
                SELECT stored.fingerprint, stored.batch FROM log.item_ids stored
                WHERE stored.workspace = head_workspace[key_head[wanted.n]] AND stored.id = key_id[wanted.n]
                  AND stored.day = key_day[wanted.n]
                LIMIT 1) AS held
            WHERE held.batch <> event_batch[key_event[wanted.n]]
        LOOP
            item_state[key_item[hit.n]] := CASE WHEN hit.fingerprint = key_fingerprint[hit.n] THEN 1 ELSE 2 END;
            request_taken[key_request[hit.n]] := true;
            IF key_needed[hit.n] THEN
                request_misled[key_request[hit.n]] := true;
            END IF;
        END LOOP;
    END IF;

    -- What was taken stays taken, so this holds until the end.
    IF cardinality(seen_id) > 0 THEN
        FOR hit IN
            SELECT wanted.n, (SELECT stored.fingerprint FROM log.item_ids stored
                              WHERE stored.workspace = head_workspace[seen_head[wanted.n]]
                                AND stored.id = seen_id[wanted.n] AND stored.day = seen_day[wanted.n]) AS fingerprint
            FROM generate_series(1, cardinality(seen_id)) AS wanted(n)
        LOOP
            IF hit.fingerprint IS DISTINCT FROM seen_fingerprint[hit.n] THEN
                request_misled[seen_request[hit.n]] := true;
            END IF;
        END LOOP;
    END IF;

    -- The heads, in a statement of its own: the ones after it see what the holders before us committed.
    head := 1;
    FOR hit IN SELECT heads.workspace, heads.position FROM log.heads
               WHERE heads.workspace = ANY (head_workspace) ORDER BY heads.workspace FOR UPDATE
    LOOP
        WHILE head_workspace[head] < hit.workspace LOOP
            head := head + 1;
        END LOOP;
        head_position[head] := hit.position;
    END LOOP;

    -- The two differ in when the other partitions are left out: before the look-ups, or in each of them.
    IF cardinality(head_workspace) = 1 THEN
        SELECT array_agg(coalesce((SELECT stored.sequence FROM log.events stored
                                   WHERE stored.aggregate_type = stream_type[n] AND stored.aggregate_id = stream_id[n]
                                     AND stored.workspace = head_workspace[1]
                                   ORDER BY stored.sequence DESC LIMIT 1), 0) ORDER BY n)
        INTO stream_version FROM generate_series(1, cardinality(stream_id)) AS n;
    ELSE
        SELECT array_agg(coalesce((SELECT stored.sequence FROM log.events stored
                                   WHERE stored.aggregate_type = stream_type[n] AND stored.aggregate_id = stream_id[n]
                                     AND stored.workspace = head_workspace[stream_head[n]]
                                   ORDER BY stored.sequence DESC LIMIT 1), 0) ORDER BY n)
        INTO stream_version FROM generate_series(1, cardinality(stream_id)) AS n;
    END IF;

    IF cardinality(receipt_key) > 0 THEN
        first_day := receipt_day[1];
        last_day := receipt_day[1];
        FOREACH a_day IN ARRAY receipt_day LOOP
            first_day := least(first_day, a_day);
            last_day := greatest(last_day, a_day);
        END LOOP;
        FOR hit IN
            SELECT wanted.n, stored.*
            FROM generate_series(1, cardinality(receipt_key)) AS wanted(n)
            CROSS JOIN LATERAL (
                SELECT kept.digest, kept.response, kept.version, kept.position, kept.duplicates, kept.conflicts
                FROM log.receipts kept
                WHERE kept.workspace = head_workspace[receipt_head[wanted.n]] AND kept.key = receipt_key[wanted.n]
                  AND kept.recorded_on BETWEEN receipt_day[wanted.n] - 2 AND receipt_day[wanted.n] + 1
                  AND kept.recorded_on BETWEEN first_day - 2 AND last_day + 1
                ORDER BY kept.recorded_on DESC LIMIT 1) AS stored
        LOOP
            receipt_digest[hit.n] := hit.digest;
            receipt_response[hit.n] := hit.response;
            receipt_version[hit.n] := hit.version;
            receipt_position[hit.n] := hit.position;
            receipt_duplicates[hit.n] := hit.duplicates::text;
            receipt_conflicts[hit.n] := hit.conflicts::text;
        END LOOP;
    END IF;

    IF cardinality(claim_key) > 0 THEN
        FOR hit IN
            SELECT wanted.n, held.owner, held.state
            FROM generate_series(1, cardinality(claim_key)) AS wanted(n)
            CROSS JOIN LATERAL (
                SELECT stored.owner, stored.state FROM log.claims stored
                WHERE stored.workspace = head_workspace[claim_head[wanted.n]]
                  AND stored.kind = claim_kind[wanted.n] AND stored.key = claim_key[wanted.n]
                LIMIT 1) AS held
        LOOP
            claim_owner[hit.n] := hit.owner;
            claim_state[hit.n] := hit.state;
            claim_stored[hit.n] := true;
            stored_claims := true;
        END LOOP;
    END IF;

    -- The judgement. Each answer leaves as soon as it is found.
    FOR r IN 1 .. requests LOOP
        first_event := next_event;
        first_use := next_use;
        item := next_item;
        next_event := first_event + request_events[r];
        next_use := first_use + request_uses[r];
        next_item := item + request_items[r];
        stream := request_stream[r];
        head := stream_head[stream];
        receipt := request_receipt[r];
        version := stream_version[stream];
        last := head_position[head];

        answer.request := r;
        answer.outcome := 'conflict';
        answer.reason := NULL;
        answer.at_version := NULL;
        answer.at_position := NULL;
        answer.stored_response := NULL;
        answer.duplicate_items := '{}';
        answer.conflicting_items := '{}';
        answer.failed_use := NULL;
        answer.found_owner := NULL;
        answer.found_state := NULL;

        IF last IS NULL THEN
            answer.reason := 'workspace';
        ELSIF receipt_digest[receipt] = request_digest[r] THEN
            answer.outcome := 'duplicate';
            answer.at_version := receipt_version[receipt];
            answer.at_position := receipt_position[receipt];
            answer.stored_response := receipt_response[receipt];
            answer.duplicate_items := receipt_duplicates[receipt]::integer[];
            answer.conflicting_items := receipt_conflicts[receipt]::integer[];
        ELSIF receipt_digest[receipt] IS NOT NULL THEN
            answer.reason := 'receipt';
        ELSIF request_expected[r] <> version THEN
            answer.reason := 'version';
            answer.at_version := version;
        ELSIF request_misled[r] THEN
            answer.reason := 'item';
        ELSE
            answer.outcome := 'ok';
            FOR u IN first_use .. next_use - 1 LOOP
                claim := use_claim[u];
                IF use_expect[u] = 'absent' AND claim_owner[claim] IS NOT NULL
                   OR use_expect[u] = 'held' AND (claim_owner[claim] IS DISTINCT FROM use_expect_owner[u]
                                                  OR claim_state[claim] IS DISTINCT FROM use_expect_state[u])
                THEN
                    answer.outcome := 'conflict';
                    answer.reason := 'claim';
                    answer.failed_use := u - first_use + 1;
                    answer.found_owner := claim_owner[claim];
                    answer.found_state := claim_state[claim];
                    EXIT;
                END IF;
            END LOOP;
        END IF;
        IF answer.outcome <> 'ok' THEN
            frees_ids := frees_ids OR request_items[r] > 0;
            RETURN NEXT answer;
            CONTINUE;
        END IF;
        request_refused[r] := false;

        -- Items that were taken are left out; an event that loses all of them is not written.
        FOR e IN first_event .. next_event - 1 LOOP
            IF event_items[e] > 0 THEN
                IF request_taken[r] THEN
                    whole := convert_to(event_payload[e]::text, 'UTF8');
                    SELECT string_agg(substring(whole FROM item_offset[n] + 1 FOR item_length[n]), ',' ORDER BY n)
                               FILTER (WHERE item_state[n] = 0),
                           answer.duplicate_items || coalesce(array_agg(event_first_item[e] + n - item ORDER BY n)
                                                           FILTER (WHERE item_state[n] = 1), '{}'),
                           answer.conflicting_items || coalesce(array_agg(event_first_item[e] + n - item ORDER BY n)
                                                             FILTER (WHERE item_state[n] = 2), '{}')
                    INTO accepted, answer.duplicate_items, answer.conflicting_items
                    FROM generate_series(item, item + event_items[e] - 1) AS n;
                    event_payload[e] := convert_from(
                        substring(whole FROM 1 FOR item_offset[item]) || accepted
                            || substring(whole FROM item_offset[item + event_items[e] - 1]
                                                    + item_length[item + event_items[e] - 1] + 1),
                        'UTF8')::json;
                END IF;
                item := item + event_items[e];
                CONTINUE WHEN event_payload[e] IS NULL;
            END IF;
            version := version + 1;
            last := last + 1;
            event_request[e] := r;
            event_sequence[e] := version;
            event_position[e] := last;
        END LOOP;
        IF last > head_position[head] THEN
            stream_version[stream] := version;
            head_position[head] := last;
            head_recorded_at[head] := request_recorded_at[r];
        END IF;

        FOR u IN first_use .. next_use - 1 LOOP
            IF use_then[u] <> 'keep' THEN
                -- What is removed has neither owner nor state.
                claim := use_claim[u];
                claim_owner[claim] := use_owner[u];
                claim_state[claim] := use_state[u];
                claim_changed[claim] := true;
                changes_claims := true;
            END IF;
        END LOOP;

        answer.at_version := version;
        answer.at_position := last;
        IF receipt IS NOT NULL THEN
            receipt_digest[receipt] := request_digest[r];
            receipt_response[receipt] := request_response[r];
            receipt_version[receipt] := version;
            receipt_position[receipt] := last;
            receipt_request[receipt] := r;
            IF request_taken[r] THEN
                receipt_duplicates[receipt] := answer.duplicate_items::text;
                receipt_conflicts[receipt] := answer.conflicting_items::text;
            END IF;
            writes_receipts := true;
        END IF;
        RETURN NEXT answer;
    END LOOP;

    INSERT INTO log.events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata,
                            workspace, position, recorded_at)
    SELECT stream_type[request_stream[event_request[n]]], stream_id[request_stream[event_request[n]]], event_sequence[n],
           event_type[n], event_version[n], event_payload[n], request_metadata[event_request[n]],
           head_workspace[stream_head[request_stream[event_request[n]]]], event_position[n],
           request_recorded_at[event_request[n]]
    FROM generate_series(1, events) AS n
    WHERE event_position[n] IS NOT NULL;

    IF keys > 0 THEN
        INSERT INTO log.item_batches (batch, position)
        SELECT event_batch[n], event_position[n] FROM generate_series(1, events) AS n
        WHERE event_batch[n] IS NOT NULL AND event_position[n] IS NOT NULL;
    END IF;

    -- Whether a claim is there is known, and under the head's lock it stays so: nothing to resolve on conflict.
    IF changes_claims THEN
        INSERT INTO log.claims (workspace, kind, key, owner, state)
        SELECT head_workspace[claim_head[n]], claim_kind[n], claim_key[n], claim_owner[n], claim_state[n]
        FROM generate_series(1, cardinality(claim_key)) AS n
        WHERE claim_changed[n] AND claim_owner[n] IS NOT NULL AND NOT claim_stored[n];
    END IF;
    IF changes_claims AND stored_claims THEN
        -- Every row is there, so this only updates; as an UPDATE with a join it could be planned from the wrong end.
        INSERT INTO log.claims (workspace, kind, key, owner, state)
        SELECT head_workspace[claim_head[n]], claim_kind[n], claim_key[n], claim_owner[n], claim_state[n]
        FROM generate_series(1, cardinality(claim_key)) AS n
        WHERE claim_changed[n] AND claim_owner[n] IS NOT NULL AND claim_stored[n]
        ON CONFLICT (workspace, kind, key) DO UPDATE SET owner = excluded.owner, state = excluded.state;

        FOR n IN 1 .. cardinality(claim_key) LOOP
            CONTINUE WHEN NOT claim_changed[n] OR NOT claim_stored[n] OR claim_owner[n] IS NOT NULL;
            DELETE FROM log.claims
            WHERE claims.workspace = head_workspace[claim_head[n]]
              AND claims.kind = claim_kind[n] AND claims.key = claim_key[n];
        END LOOP;
    END IF;

    IF writes_receipts THEN
        INSERT INTO log.receipts (workspace, key, recorded_on, digest, response, version, position, duplicates, conflicts,
                                  recorded_at)
        SELECT head_workspace[receipt_head[n]], receipt_key[n], receipt_day[n], receipt_digest[n], receipt_response[n],
               receipt_version[n], receipt_position[n], receipt_duplicates[n]::integer[],
               receipt_conflicts[n]::integer[], request_recorded_at[receipt_request[n]]
        FROM generate_series(1, cardinality(receipt_key)) AS n
        WHERE receipt_request[n] IS NOT NULL;
    END IF;

    -- The ids that only refused requests brought are free again.
    IF frees_ids THEN
        FOR n IN 1 .. keys LOOP
            CONTINUE WHEN NOT request_refused[key_request[n]] OR coalesce(item_state[key_item[n]], 0) <> 0;
            DELETE FROM log.item_ids
            WHERE item_ids.workspace = head_workspace[key_head[n]]
              AND item_ids.id = key_id[n] AND item_ids.day = key_day[n];
        END LOOP;
    END IF;

    FOR n IN 1 .. cardinality(head_workspace) LOOP
        CONTINUE WHEN head_recorded_at[n] IS NULL;
        UPDATE log.heads SET position = head_position[n], recorded_at = head_recorded_at[n]
        WHERE heads.workspace = head_workspace[n];
    END LOOP;
END $$;

-- As all of the log's functions.
DO $$
DECLARE judge regprocedure;
BEGIN
    SELECT p.oid INTO judge FROM pg_proc p WHERE p.pronamespace = 'log'::regnamespace AND p.proname = 'judge';
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', judge);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO highwater_command', judge);
END $$;
