-- API keys. Only the SHA-256 digest is kept: keys are random and long, so a slow hash would add nothing but latency.

CREATE SCHEMA auth;

CREATE TABLE auth.keys (
    key_id     uuid PRIMARY KEY,
    workspace  integer NOT NULL,
    name       text NOT NULL,
    digest     bytea NOT NULL UNIQUE,
    scopes     text[] NOT NULL CHECK (scopes <@ ARRAY['command', 'read', 'admin']),
    created_at timestamptz NOT NULL,
    revoked_at timestamptz
);
CREATE INDEX keys_by_workspace ON auth.keys (workspace);

-- Who may touch what: the dependency rule of the code, repeated by the database.
GRANT USAGE ON SCHEMA log TO highwater_command, highwater_projector, highwater_read;
GRANT USAGE ON SCHEMA auth TO highwater_command, highwater_read;
GRANT SELECT ON auth.keys TO highwater_command, highwater_read;

GRANT SELECT ON log.workspaces TO highwater_command, highwater_projector;
GRANT SELECT, UPDATE ON log.heads TO highwater_command;
GRANT SELECT, INSERT ON log.events, log.receipts TO highwater_command;
GRANT SELECT, INSERT, UPDATE, DELETE ON log.claims TO highwater_command;
GRANT SELECT, INSERT, DELETE ON log.item_ids TO highwater_command;
GRANT SELECT, INSERT ON log.item_batches TO highwater_command;
GRANT USAGE ON SEQUENCE log.item_batch TO highwater_command;

GRANT SELECT ON log.heads, log.events TO highwater_projector;
GRANT SELECT ON log.heads TO highwater_read;

-- The projector owns the schema read: making an epoch makes tables.
GRANT ALL ON SCHEMA read TO highwater_projector;
DO $$
DECLARE made record;
BEGIN
    FOR made IN SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname = 'read' AND c.relkind IN ('r', 'p') LOOP
        EXECUTE format('ALTER TABLE read.%I OWNER TO highwater_projector', made.relname);
    END LOOP;
END $$;
ALTER FUNCTION read.create_epoch(text, text[], integer) OWNER TO highwater_projector;
ALTER FUNCTION read.drop_epoch_table(text, integer) OWNER TO highwater_projector;
ALTER FUNCTION read.prepare_months(integer, text[], timestamptz[]) OWNER TO highwater_projector;
ALTER FUNCTION read.drop_month(text, integer, text) OWNER TO highwater_projector;
ALTER SCHEMA read OWNER TO highwater_projector;
GRANT USAGE ON SCHEMA read TO highwater_read;
GRANT SELECT ON ALL TABLES IN SCHEMA read TO highwater_read;
