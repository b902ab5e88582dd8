-- What a batch of statements that replaces looks up: the version of its source's stream, then the claims of a range of buckets.

CREATE FUNCTION log.stream_version(of_workspace integer, of_type text, of_id text) RETURNS bigint
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off AS $$
BEGIN
    RETURN coalesce((SELECT stored.sequence FROM log.events stored
                     WHERE stored.aggregate_type = of_type AND stored.aggregate_id = of_id AND stored.workspace = of_workspace
                     ORDER BY stored.sequence DESC LIMIT 1), 0);
END $$;

-- The claims of a kind from one key to before another, in their order, and no more than `most`. With `endings`, only those whose
-- last 36 characters are among them.
CREATE FUNCTION log.find_claims_between(of_workspace integer, of_kind text, first_key text, end_key text, endings text[], most integer)
RETURNS TABLE (key text, owner text, state text)
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off AS $$
BEGIN
    RETURN QUERY
    SELECT stored.key, stored.owner, stored.state FROM log.claims stored
    WHERE stored.workspace = of_workspace AND stored.kind = of_kind
      AND stored.key >= first_key COLLATE "C" AND stored.key < end_key COLLATE "C"
      AND (endings IS NULL OR right(stored.key, 36) = ANY (endings))
    ORDER BY stored.key LIMIT most;
END $$;

-- As all of the log's functions.
DO $$
DECLARE reading regprocedure;
BEGIN
    FOR reading IN SELECT p.oid FROM pg_proc p WHERE p.pronamespace = 'log'::regnamespace
                   AND p.proname IN ('stream_version', 'find_claims_between') LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', reading);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO highwater_command', reading);
    END LOOP;
END $$;
