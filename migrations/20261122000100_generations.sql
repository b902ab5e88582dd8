-- A generation is one life of the logs, between two restores or failovers that lost events. It is kept for people, and for
-- what leaves the building. No answer rests on it: positions hold the instants of their events.
--
-- Here is a server's identity: a dump that is restored elsewhere changes the system identifier or the database, a recovery
-- to a point in time and a promoted standby change the timeline. A copied directory changes none of them, so an operator
-- can say it (`highwater restored`). Numbers repeat where a backup is older than a generation; began_at tells those apart.
CREATE TABLE log.generations (
    generation        integer PRIMARY KEY,
    began_at          timestamptz NOT NULL,
    cause             text NOT NULL CHECK (cause IN ('first', 'other_database', 'other_timeline', 'declared')),
    note              text,                 -- what an operator said of it
    system_identifier bigint NOT NULL,
    database          oid NOT NULL,
    timeline          integer NOT NULL
);

-- Where each log was when a generation began. What stood behind it in the generation before is lost.
CREATE TABLE log.generation_heads (
    generation  integer NOT NULL REFERENCES log.generations,
    workspace   integer NOT NULL REFERENCES log.workspaces,
    position    bigint NOT NULL,
    recorded_at timestamptz,
    PRIMARY KEY (generation, workspace)
);

-- Begins a generation if the server is not the one of the newest, or if it is declared. Whoever writes calls it before its
-- first write to a server that it has not met, so the heads are those of the restored state.
CREATE FUNCTION log.begin_generation(began_at timestamptz, is_declared boolean, note text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    newest log.generations;
    here   log.generations;
BEGIN
    SELECT control.system_identifier, named.oid INTO STRICT here.system_identifier, here.database
    FROM pg_control_system() control, pg_database named WHERE named.datname = current_database();
    -- The control file says the timeline of the last checkpoint, which may be the one before.
    here.timeline := ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::integer;

    -- The second look is under the lock.
    FOR look IN 1..2 LOOP
        SELECT * INTO newest FROM log.generations ORDER BY generation DESC LIMIT 1;
        here.cause := CASE
            WHEN newest.generation IS NULL THEN 'first'
            WHEN (newest.system_identifier, newest.database) <> (here.system_identifier, here.database) THEN 'other_database'
            WHEN newest.timeline <> here.timeline THEN 'other_timeline'
            WHEN is_declared THEN 'declared'
        END;
        IF here.cause IS NULL THEN
            RETURN;
        END IF;
        IF look = 1 THEN
            PERFORM pg_advisory_xact_lock(hashtext('highwater.generation'));
        END IF;
    END LOOP;

    here.generation := coalesce(newest.generation, 0) + 1;
    here.began_at := began_at;
    here.note := note;
    INSERT INTO log.generations SELECT here.*;
    INSERT INTO log.generation_heads SELECT here.generation, workspace, position, recorded_at FROM log.heads;
END $$;

-- What the command role may call: it declares nothing.
CREATE FUNCTION log.note_generation(began_at timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$ SELECT log.begin_generation(began_at, false, NULL) $$;

REVOKE ALL ON FUNCTION log.begin_generation(timestamptz, boolean, text), log.note_generation(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION log.note_generation(timestamptz) TO highwater_command;
