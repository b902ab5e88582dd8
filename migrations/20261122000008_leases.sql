-- The projector processes of this database. The logs are divided among the living ones by a function of their ids alone, so
-- nothing is written per log: a process renews its row, reads the others', and knows what is its own.
-- follows: projections and their versions, as 'campaign_model 4'; only those who follow the same share its logs.
-- session: the backend process that renews the row. It ends with its client, so that a killed projector is missed at once;
-- one that is frozen or cut off is missed when its lease is over.
CREATE TABLE read.projectors (
    projector  uuid PRIMARY KEY,
    name       text NOT NULL,
    follows    text[] NOT NULL,
    session    integer NOT NULL,
    lease      interval NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    renewed_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50);

-- A row from the future was renewed before the clock was set back: it is believed for no longer than any other.
CREATE VIEW read.projectors_now AS
SELECT p.*, clock_timestamp() - p.renewed_at BETWEEN - p.lease AND p.lease
            AND EXISTS (SELECT FROM pg_stat_get_activity(p.session)) AS is_living
FROM read.projectors p;

ALTER TABLE read.projectors OWNER TO highwater_projector;
ALTER VIEW read.projectors_now OWNER TO highwater_projector;
