-- The age of the oldest event that a reader does not see yet: the lag that every answer tells. The read API's role may not
-- read the log; this tells it one instant, and nothing of what happened. plpgsql, because it keeps the plan: under constant
-- load most answers ask.
CREATE FUNCTION log.recorded_at_of(wanted_workspace integer, wanted_position bigint) RETURNS timestamptz
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    RETURN (SELECT e.recorded_at FROM log.events e WHERE e.workspace = wanted_workspace AND e.position = wanted_position);
END $$;
REVOKE ALL ON FUNCTION log.recorded_at_of(integer, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION log.recorded_at_of(integer, bigint) TO highwater_read;
